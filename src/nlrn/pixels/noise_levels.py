"""Estimates the noise of a photograph, in luma and in chroma apart, and whether it is white.

:func:`nlrn.estimate_sigma` believes in white noise and overlooks what is as coarse as a camera's. Here small networks
read the levels from the features of :mod:`nlrn.pixels.noise_features`. They were fitted by
``scripts/fit_noise_levels.py`` to pictures degraded as for training, and made to say too little less often than too
much, as S. Guo et al. do ("Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019).
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlrn.pixels.arrays import full_scale
from nlrn.pixels.conversions import for_any
from nlrn.pixels.noise import estimate_sigma
from nlrn.pixels.noise_features import noise_features
from nlrn.pixels.scene import Scene

_WEIGHTS = Path(__file__).with_suffix(".npz")
_FLOOR = 0.5  # grey levels below which levels of noise are hardly told apart
_PATCHES = 20_000
# Grey levels of noise in means of four pixels: what hardly any clean picture is given, and what noise at least has.
_EVEN_FROM, _SEEN = 2.3, 1.5
# Times as much in means of sixteen: texture and cameras have more, letters have less.
_EVEN_DOWN_TO, _EVEN_UP_TO = 0.6, 1.5
_TEXTURE = 1.6  # times as much in means of sixteen as all noise together
_SOME_COLOUR = 0.1


@dataclass(frozen=True)
class Noise:
    """The noise in an image, in the units of its pixels."""

    luma: float
    """Standard deviation in luma (Y of JPEG): grain."""
    chroma: float
    """Standard deviation in the two chroma planes (Cb and Cr of JPEG), root of their mean square: blotches."""
    white: bool
    """Whether it is independent from pixel to pixel, as no camera makes it."""
    even: bool = False
    """Whether means of several pixels are hardly noisier than such noise would have them, or the colours are fine:
    noise that was added to a finished picture, saved as JPEG, blurred or enlarged."""
    fine: bool = False
    """Whether it is even, and as fine in the colours as in the brightness, as where red, green and blue differ."""


def estimate_noise(image: Any, *, channel_axis: int | None = None) -> Noise | None:
    """The levels of noise in a photograph, coarse noise and what was saved as JPEG included.

    Args:
        image: as :func:`nlrn.denoise` takes it.
        channel_axis: the axis of a 3-D array that holds the channels.

    Returns:
        The levels in the units of the image (0 to 255 for uint8, 0 to 65535 for uint16, 0 to 1 for floats), or None
        where the image has too few blocks of 32 x 32 pixels that tell anything. Of a batch of tensors, the first.

    Raises:
        ValueError: an image of another kind.

    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(128, 20, (128, 128)).clip(0, 255).astype(np.uint8)
    >>> noise = estimate_noise(noisy)
    >>> noise.white, noise.chroma < 1, 15 < noise.luma < 25
    (True, True, True)
    """
    found: list[Noise | None] = []

    def look(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
        scene = Scene(pixels, masked=masked)
        noise, unit = noise_of(scene.seen()), 1.0 if scene.plain else scene.range.span
        found.append(noise and replace(noise, luma=noise.luma * unit, chroma=noise.chroma * unit))
        return pixels

    for_any(image, channel_axis, look)
    return found[0]


def noise_of(pixels: npt.NDArray[np.generic]) -> Noise | None:
    """:func:`estimate_noise` of pixels [H, W, C]; transparent ones count as well, as the colour that they have."""
    full = full_scale(pixels.dtype)
    colours = pixels[..., :1].repeat(3, 2) if pixels.shape[2] <= 2 else pixels[..., :3]
    features = noise_features(colours, 255 / full)
    if features is None:
        return None
    luma, chroma, white = _read(features)
    if _is_drawn(colours, full):
        return Noise(0.0, 0.0, False)
    planes = [plane * np.float32(255 / full) for plane in _opponent(colours)]
    even = fine = False
    if white > 0:
        # patches tell white noise more exactly, and that there is none in a page of small letters
        luma, *chromas = (estimate_sigma(plane, most=_PATCHES) for plane in planes)
        chroma = _together(chromas)
    else:
        twos, fours, colour = _in_means(planes)
        fine = twos >= _SEEN and colour >= 0.7 * twos
        if twos >= _EVEN_FROM and _EVEN_DOWN_TO * twos <= fours <= _EVEN_UP_TO * twos:
            luma, even = twos, True
        elif fine:
            luma, even = max(luma, twos), True
        elif _is_texture(features, luma, chroma, fours):
            return Noise(0.0, 0.0, False)
        elif chroma > _SOME_COLOUR:
            luma = _bounded(luma, chroma)
    unit = full / 255
    return Noise(luma * unit, chroma * unit if pixels.shape[2] > 2 else 0.0, white > 0, even, fine)


def _in_means(planes: list[npt.NDArray[np.float32]]) -> tuple[float, float, float]:
    """The noise of luma in means of 2 x 2 and of 4 x 4 pixels and that of chroma in means of 2 x 2, such that white
    noise is as strong in all of them as in single pixels."""
    luma, *chromas = (_halved(plane) for plane in planes)
    twos, fours, *colours = (estimate_sigma(p, most=_PATCHES) for p in (luma, _halved(luma), *chromas))
    return twos, fours, _together(colours)


def _halved(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, columns = (length // 2 * 2 for length in plane.shape)
    whole = plane[:rows, :columns]
    return np.asarray((whole[::2, ::2] + whole[::2, 1::2] + whole[1::2, ::2] + whole[1::2, 1::2]) / 2, np.float32)


def _together(levels: list[float]) -> float:
    return float(np.sqrt(np.square(levels).mean()))


def _bounded(luma: float, chroma: float) -> float:
    """Fine texture is taken for grain, but colours tell: no camera has so much more of grain than of blotches."""
    most = max(4.0, 2.2 * chroma)
    return luma if luma <= most else max(most, luma / 1.8)


def _is_texture(features: npt.NDArray[np.float32], luma: float, chroma: float, fours: float) -> bool:
    """Whether what varies is rather the picture than noise.

    A camera makes up its colours from neighbours, so the finest band of its pictures is soft: in its corners lies
    less than a third of what lies in its edges (all of PolyU_dev; of 40 clean pictures of BSDS500 the tenth part).
    In a sharp picture, noise must be everywhere alike, or in the colours too, and not much stronger in means of
    sixteen than in all.
    """
    smooth, usual, corners = (np.exp(features[[1, 3, 9]]) - 0.05).tolist()
    if corners > 0.3 * usual and fours > _TEXTURE * max(luma, 2.0):
        return True
    return bool(corners > 0.33 * usual and smooth < 0.75 * usual and chroma < max(2.0, 0.6 * luma))


def _is_drawn(rgb: npt.NDArray[np.generic], full: float) -> bool:
    """Whether neighbours are mostly equal, black and white set aside, or all is black and white."""
    step = max(1, rgb.shape[0] // 500)
    rows = rgb[::step].astype(np.float32)
    middle = np.any((rows > 0.012 * full) & (rows < 0.988 * full), axis=2)[:, 1:]
    same = np.all(np.equal(rows[:, 1:], rows[:, :-1]), axis=2)
    return bool(middle.mean() < 0.05 or same[middle].mean() > 0.7)


def _opponent(rgb: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.float32], ...]:
    red, green, blue = np.moveaxis(rgb.astype(np.float32), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, 0.564 * (blue - luma), 0.713 * (red - luma)


def _read(features: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Luma and chroma in grey levels of 255, and how likely white noise is, above 0 where it is likelier than not."""
    weights = _weights()
    x = ((features - weights["mean"]) / weights["spread"])[None, :, None]
    for layer in ("first", "second"):
        x = weights[layer] @ x + weights[layer + "_bias"][..., None]
        x = x / (1 + np.exp(-x.clip(-50, 50)))
    luma, chroma, white = (weights["third"] @ x + weights["third_bias"][..., None]).mean(0)[:, 0].tolist()
    return max(0.0, math.exp(luma) - _FLOOR), max(0.0, math.exp(chroma) - _FLOOR), white


@lru_cache(maxsize=1)
def _weights() -> dict[str, npt.NDArray[np.float32]]:
    with np.load(_WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}
