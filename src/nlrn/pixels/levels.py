"""The noise level of an image: given or estimated, for each plane that a network restores."""

import logging

import numpy as np

from nlrn.pixels.arrays import full_scale
from nlrn.pixels.color import Planes
from nlrn.pixels.noise import estimate_sigma

STRONGEST, WEAKEST = 75.0, 0.2
"""On the 0-255 scale: the strongest noise that the networks are for, the weakest that anyone could mean."""
_NEGLIGIBLE = 1.0  # on the 0-255 scale: an estimate below this is what clean photographs are given too
_log = logging.getLogger("nlrn")


def noise_levels(pixels: np.ndarray, planes: Planes, sigma: float | None) -> list[float]:
    """The noise in each plane of [H, W, C], in units of [0, 1]; 0 where an estimate is negligible.

    Args:
        pixels: with transparency or without; what it hides has no part in an estimate.
        planes: how the image becomes planes.
        sigma: standard deviation of the noise in the units of ``pixels``; None estimates it and logs it.

    Raises:
        ValueError: a sigma that cannot be meant.
    """
    full = full_scale(pixels.dtype)
    if sigma is not None:
        _refuse_implausible(sigma, full)
        return [gain * sigma / full for gain in planes.gains]
    relative = _estimated(pixels, planes)
    _log.info("noise estimated: sigma %.3g, where white is %g", full * float(np.mean(relative)), full)
    return [
        gain * part if part >= _NEGLIGIBLE / 255 else 0.0 for gain, part in zip(planes.gains, relative, strict=True)
    ]


def estimated_sigma(pixels: np.ndarray) -> float:
    """The standard deviation of the noise in [H, W, C], where white is 255, mean over the planes of the image."""
    colours = 1 if pixels.shape[2] <= 2 else 3
    return 255 * float(np.mean(_estimated(pixels, Planes(colours, colours))))


def _estimated(pixels: np.ndarray, planes: Planes) -> list[float]:
    """For each plane, the noise that each colour would have had if all had the same, in units of [0, 1]."""
    full = full_scale(pixels.dtype)
    seen = pixels[..., -1] > 0 if pixels.shape[2] in (2, 4) else None
    return [estimate_sigma(planes.one(pixels, i), seen) / full / gain for i, gain in enumerate(planes.gains)]


def _refuse_implausible(sigma: float, full: float) -> None:
    if sigma != 0 and not WEAKEST <= sigma / full * 255 <= STRONGEST:
        raise ValueError(
            f"sigma {sigma:g} cannot be meant: it is in the units of the image, where white is {full:g}, and "
            f"must be 0 or lie between {WEAKEST / 255 * full:.2g} and {STRONGEST / 255 * full:.3g}"
        )
