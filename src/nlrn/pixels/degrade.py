"""Degrades images: noise, MATLAB's bicubic resizing, Y of BT.601, JPEG.

All functions take and return floating-point tensors of images in [0, 1], channels first, on any device.
"""

import hashlib
import io
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

# R, G, B -> Y, Cb, Cr for R, G, B in [0, 1] and Y, Cb, Cr in grey levels: ITU-R BT.601, studio range
_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)

# Output pixels that one small matrix makes. Larger blocks waste more multiplications by zero.
_BLOCK = 64


def round_8bit(image: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the nearest of the 256 levels k / 255, halves up as MATLAB does."""
    return image.clamp(0, 1).mul(255).add(0.5).floor().div(255)


def noise_seed(name: str, sigma: float) -> int:
    """The seed of the noise of one test image: the same for ever, on every machine and in every run.

    Args:
        name: file name without folders, with its extension.
        sigma: noise level in grey levels (25 for the usual test).

    Returns:
        An integer in [0, 2^32).
    """
    return int.from_bytes(hashlib.sha256(f"{name} {float(sigma)!r}".encode()).digest()[:4], "big")


def add_noise(image: Tensor, sigma: float, seed: int) -> Tensor:
    """Add white Gaussian noise, never clipped: clipped noise is another, easier problem.

    Args:
        image: any shape.
        sigma: standard deviation in the units of the image: 25 / 255 for the usual test.
        seed: in [0, 2^32); equal seeds and shapes give equal noise. See :func:`noise_seed`.
    """
    return image + sigma * normal_noise(image.shape, seed).to(image)


def normal_noise(shape: Sequence[int], seed: int) -> Tensor:
    """Standard normal noise in float64, the same for a seed for ever."""
    # RandomState: NumPy promises that its stream never changes; Generator and torch.randn promise nothing
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)))


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """[..., 3, H, W] in [0, 1] to Y, Cb, Cr of BT.601 in studio range: MATLAB's ``rgb2ycbcr`` of doubles.

    Y lies in [16, 235] / 255, Cb and Cr in [16, 240] / 255.
    """
    return _mix(rgb, rgb.new_tensor(_YCBCR) / 255) + rgb.new_tensor(_OFFSET)[:, None, None] / 255


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of :func:`rgb_to_ycbcr`, not clipped."""
    inverse = torch.linalg.inv(torch.tensor(_YCBCR, dtype=torch.float64) / 255)
    return _mix(ycbcr - ycbcr.new_tensor(_OFFSET)[:, None, None] / 255, inverse.to(ycbcr))


def rgb_to_y(rgb: Tensor) -> Tensor:
    """The Y of :func:`rgb_to_ycbcr` alone: [..., 3, H, W] to [..., 1, H, W]."""
    return _mix(rgb, rgb.new_tensor(_YCBCR[:1]) / 255) + _OFFSET[0] / 255


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Compress an image as JPEG at ``quality`` (1 to 95) of libjpeg's scale, and decode it.

    Args:
        image: [1, H, W] gray or [3, H, W] RGB in [0, 1]; clipped and rounded to 8 bit first. Colour is stored
            with chroma at half resolution, as most programs do.
    """
    pixels = (round_8bit(image) * 255).round().to("cpu", torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(
        buffer, "JPEG", quality=quality, subsampling="4:2:0"
    )
    with Image.open(buffer) as picture:
        decoded = np.atleast_3d(np.asarray(picture, dtype=np.float64)).transpose(2, 0, 1) / 255
    return torch.from_numpy(decoded).to(image)


def resize_bicubic(image: Tensor, height: int, width: int) -> Tensor:
    """MATLAB's ``imresize(image, [height width], 'bicubic')``, on batches, differentiable, not clipped.

    Keys' cubic kernel with a = -0.5 on half-pixel centres; when shrinking it is stretched by the factor,
    which is the antialiasing. Beyond a border its last pixel is repeated: so did the MATLAB that made the
    standard test files (newer releases mirror the image, up to 7 grey levels away from them near the border).

    Args:
        image: [..., H, W], floating point.
        height, width: size of the result, each at least 1.

    Returns:
        [..., height, width] in the dtype and on the device of ``image``. The kernel overshoots at edges.
    """
    # Reduced precision would cost more grey levels than super-resolution has to win
    with torch.autocast(image.device.type, enabled=False):
        # the axis that shrinks most goes first: less is left for the other one
        if height * image.shape[-1] <= width * image.shape[-2]:
            return _resize_columns(_resize_rows(image, height), width)
        return _resize_rows(_resize_columns(image, width), height)


def _resize_rows(image: Tensor, height: int) -> Tensor:
    blocks = _blocks(image.shape[-2], height)
    return torch.cat([weights.to(image) @ image[..., rows, :] for rows, weights in blocks], -2)


def _resize_columns(image: Tensor, width: int) -> Tensor:
    blocks = _blocks(image.shape[-1], width)
    return torch.cat([image[..., columns] @ weights.T.to(image) for columns, weights in blocks], -1)


@lru_cache(maxsize=64)
def _blocks(before: int, after: int) -> list[tuple[slice, Tensor]]:
    """Resizing one axis as a banded matrix: for each block of outputs, its inputs and their weights."""
    indices, weights = bicubic_weights(before, after)
    blocks = []
    for start in range(0, after, _BLOCK):
        source, weight = indices[start : start + _BLOCK], weights[start : start + _BLOCK]
        first, last = int(source.min()), int(source.max())
        matrix = np.zeros((len(source), last - first + 1))
        # add, not set: at a border the same pixel comes in several times
        np.add.at(matrix, (np.arange(len(source))[:, None], source - first), weight)
        blocks.append((slice(first, last + 1), torch.from_numpy(matrix)))
    return blocks


def bicubic_weights(before: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The taps of :func:`resize_bicubic` along one axis of ``before`` pixels resized to ``after``.

    Returns:
        The indices of the input pixels that make each output pixel and their weights, both [after, taps].
        Weights sum to 1 over the taps; an index occurs several times at a border, a weight may be 0.
    """
    scale = after / before
    stretch = min(scale, 1.0)  # below 1 the kernel is widened: antialiasing
    centres = (np.arange(after) + 0.5) / scale - 0.5
    taps = math.ceil(4 / stretch) + 2
    indices = np.floor(centres - 2 / stretch).astype(np.int64)[:, None] + np.arange(taps)
    weights = _keys(stretch * (centres[:, None] - indices))
    weights /= weights.sum(1, keepdims=True)
    return indices.clip(0, before - 1), weights


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel, a = -0.5 (IEEE Trans. ASSP 29(6), 1981, equation 15)."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def _mix(image: Tensor, matrix: Tensor) -> Tensor:
    with torch.autocast(image.device.type, enabled=False):
        return torch.einsum("oc,...chw->...ohw", matrix, image)
