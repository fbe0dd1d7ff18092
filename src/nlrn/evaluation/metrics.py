"""Full-reference image quality in float64 NumPy: PSNR and SSIM as the papers of the field report them."""

import math

import numpy as np
from numpy.typing import NDArray

# 11 taps of a Gaussian with a standard deviation of 1.5 pixels
_TAPS = 11
_GAUSSIAN: NDArray[np.float64] = np.exp(-((np.arange(_TAPS) - _TAPS // 2) ** 2) / (2 * 1.5**2))
_GAUSSIAN /= _GAUSSIAN.sum()


def psnr(image: NDArray[np.generic], reference: NDArray[np.generic], peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB over all values of one image; infinite where both are equal.

    Args:
        image, reference: same shape, any one.
        peak: the largest possible value: 1 for images in [0, 1], 255 for 8-bit images.

    Raises:
        ValueError: the shapes differ.
    """
    a, b = _pair(image, reference)
    error = float(np.mean((a - b) ** 2))
    return 10 * math.log10(peak**2 / error) if error else math.inf


def ssim(image: NDArray[np.generic], reference: NDArray[np.generic], peak: float = 1.0) -> float:
    """Structural similarity, at most 1, as in the authors' MATLAB code.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13(4),
    2004, equation 13: Gaussian window 11 x 11 of standard deviation 1.5, K1 = 0.01, K2 = 0.03, population
    (not sample) covariances, the mean over the positions where the window fits into the image.

    Args:
        image, reference: [..., H, W] of one shape; leading axes are channels, whose values are averaged.
        peak: the largest possible value: 1 for images in [0, 1], 255 for 8-bit images.

    Raises:
        ValueError: the shapes differ, or H or W is below 11.
    """
    a, b = _pair(image, reference)
    if a.ndim < 2 or min(a.shape[-2:]) < _TAPS:
        raise ValueError(f"SSIM needs images of at least {_TAPS} x {_TAPS} pixels; got the shape {a.shape}")
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    variances = _blur(a * a) - mean_a**2 + _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(np.mean(luminance * (2 * covariance + c2) / (variances + c2)))


def shave(image: NDArray[np.float64], border: int) -> NDArray[np.float64]:
    """[..., H, W] without its outer ``border`` pixels on each side.

    Raises:
        ValueError: nothing would be left.
    """
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"nothing is left of {width} x {height} pixels without a border of {border}")
    return image[..., border : height - border, border : width - border]


def _pair(
    image: NDArray[np.generic], reference: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image.shape != reference.shape:
        raise ValueError(f"images of different shapes cannot be compared: {image.shape}, {reference.shape}")
    return image.astype(np.float64), reference.astype(np.float64)


def _blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian-weighted mean at every position where the window fits, one axis after the other."""
    rows, columns = image.shape[-2] - _TAPS + 1, image.shape[-1] - _TAPS + 1
    vertical = sum(w * image[..., i : i + rows, :] for i, w in enumerate(_GAUSSIAN))
    return np.asarray(sum(w * vertical[..., i : i + columns] for i, w in enumerate(_GAUSSIAN)))
