"""The noise level of an image: given or estimated, for each plane that a network restores."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlrn.pixels.color import Planes
from nlrn.pixels.noise import estimate_sigma
from nlrn.pixels.scene import Scene

STRONGEST, WEAKEST = 75.0, 0.2
"""Where white is 255: the strongest noise that the networks are for, the weakest that anyone could mean."""
_MOST = 0.75
"""Of white: the strongest that anyone could mean. Beyond STRONGEST an image is restored at less contrast."""
_NEGLIGIBLE = 1.0  # on the 0-255 scale: an estimate below this is what clean photographs are given too
_VISIBLE = 4.0
"""Where white is 255: coarse grain above this can be seen; clean photographs are given less by two pixels a side."""
_log = logging.getLogger("nlrn")

Sigma = float | Sequence[float] | np.ndarray


def noise_levels(scene: Scene, planes: Planes, sigma: Sigma | None) -> list[float]:
    """The noise in each plane that holds any, in units of the range; 0 where an estimate is negligible.

    Args:
        scene: what its transparency and masks hide has no part in an estimate.
        planes: how the image becomes planes.
        sigma: standard deviation of the noise in the units of the pixels, one for all or one for each colour; None
            estimates it and logs it.

    Raises:
        ValueError: a sigma that cannot be meant.
    """
    span = scene.range.span
    if sigma is not None:
        given = _checked(sigma, scene)
        if planes.tint is not None:
            return [float(np.sqrt(np.square(given).mean())) * planes.gains[0]]
        weights = np.square(planes.matrix.numpy().astype(np.float64))
        # a network of three channels sees a gray image three times
        return [float(level) for level in np.sqrt(weights @ np.square(given))]
    measured = measured_levels(scene, planes)
    relative = [level / gain for level, gain in zip(measured, planes.gains, strict=True)]
    _log.info("noise estimated: sigma %.3g, where white is %g", span * float(np.mean(relative)), scene.range.white)
    return [level if part >= _NEGLIGIBLE / 255 else 0.0 for level, part in zip(measured, relative, strict=True)]


def estimated_sigma(scene: Scene) -> float:
    """The standard deviation of the noise, where white is 255, mean over the colours of the image."""
    return 255 * float(np.mean(measured_levels(scene, Planes(scene.colours, scene.colours))))


def measured_levels(scene: Scene, planes: Planes) -> list[float]:
    """The noise that each plane which holds any is estimated to hold, in units of the range."""
    known = scene.known
    return [_estimate(scene, planes, i, known) for i in range(len(planes.gains))]


def left_noisy(scene: Scene) -> str | None:
    """Why a picture whose noise is estimated as negligible may be noisy all the same, or None.

    Noise that was blurred, enlarged or compressed has lost its finest part, by which noise is told from texture; the
    mean of four pixels shows it.
    """
    pixels, known = scene.pixels[..., : scene.colours], scene.known
    if min(pixels.shape[:2]) < 24:
        return "it is too small for an estimate of its noise: give sigma"
    height, width = (length // 2 * 2 for length in pixels.shape[:2])
    fours = pixels[:height, :width].astype(np.float32).reshape(height // 2, 2, width // 2, 2, -1)
    small = fours.mean((1, 3, 4))
    seen = (
        None if known is None else np.all(known[:height, :width].reshape(height // 2, 2, width // 2, 2), axis=(1, 3))
    )
    if seen is not None:
        small = np.where(seen, small, np.float32(scene.range.black))
    coarse = estimate_sigma(small, seen) / scene.range.span * 255
    if coarse < _VISIBLE:
        return None
    return (
        f"its noise is coarser than single pixels (about {coarse:.0f} in means of four, where white is 255), which "
        "the estimate does not see: give sigma"
    )


def _estimate(scene: Scene, planes: Planes, plane: int, known: np.ndarray | None) -> float:
    colours, unit = scene.pixels[..., : scene.colours], scene.range.span
    if scene.lost is not None or scene.range.black:  # a black level of millions has no room for noise in float32
        colours, unit = scene.units(colours), 1.0
    if scene.lost is not None:
        colours[scene.lost] = 0.5
    return estimate_sigma(planes.one(colours, plane), known) / unit


def _checked(sigma: Any, scene: Scene) -> np.ndarray:
    """The noise of each colour, in units of the range."""
    span, white = scene.range.span, scene.range.white
    try:
        if isinstance(sigma, (str, bytes)):
            raise TypeError
        given = np.asarray(sigma, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"sigma is a number in the units of the image, not {sigma!r}") from None
    if given.size not in (1, scene.colours) or (given.ndim > 1 and given.size > 1):
        raise ValueError(
            f"sigma is one number, or one for each colour (here {scene.colours}), not an array of shape {given.shape}"
        )
    for level in given.ravel().tolist():
        if level != 0 and not WEAKEST / 255 <= level / span <= _MOST:
            raise ValueError(
                f"sigma {level:g} cannot be meant: it is in the units of the image, where white is {white:g}"
                + (f" and black {scene.range.black:g}" if scene.range.black else "")
                + f", and must be 0 or lie between {WEAKEST / 255 * span:.2g} and {_MOST * span:.3g}"
            )
    return np.broadcast_to(given.ravel() / span, scene.colours)
