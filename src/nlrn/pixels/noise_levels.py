"""Estimates the noise of a photograph, in luma and in chroma apart, and whether it is white.

:func:`nlrn.estimate_sigma` believes in white noise and overlooks what is as coarse as a camera's. Here small networks
read from the features of :mod:`nlrn.pixels.noise_features` how strong it is, and what the denoisers are best told.
They were fitted by ``scripts/fit_noise_levels.py`` to pictures degraded as for training, and to what the denoisers
make of these when told one level after another. That a network should be told more than there is rather than less,
S. Guo et al. found ("Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019); here it is measured.
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
from nlrn.pixels.noise_features import as_white, noise_features
from nlrn.pixels.saved_noise import sigma_before_jpeg
from nlrn.pixels.scene import Scene

_WEIGHTS = Path(__file__).with_suffix(".npz")
_FLOOR = 0.5  # grey levels below which levels of noise are hardly told apart
_SURE = 4.0  # grey levels of noise that patches cannot mistake
_FAINT = 1.5  # grey levels of white noise that leave a picture above 45 dB, and are as likely the picture itself
_NEGLIGIBLE = 1.0  # grey levels: to be told less changes next to nothing


@dataclass(frozen=True)
class Noise:
    """The noise in an image, in the units of its pixels."""

    luma: float
    """Standard deviation in luma (Y of JPEG): grain."""
    chroma: float
    """Standard deviation in the two chroma planes (Cb and Cr of JPEG), root of their mean square: blotches."""
    white: bool
    """Whether it is independent from pixel to pixel, as no camera makes it."""


@dataclass(frozen=True)
class Reading:
    """The noise of an image and what to tell of it, in the units of its pixels."""

    noise: Noise
    luma: float
    """What to tell a network of one channel of the luma's noise, 0 where it is better left alone."""
    chroma: float
    """The same of chroma at half the resolution."""
    sigma: float
    """What to tell a network of colours, if that is to restore them together."""
    together: bool
    """Whether that is better than to restore luma and chroma apart, as where red, green and blue have noise of their
    own."""

    def times(self, unit: float) -> "Reading":
        """The same in units so many times as small."""
        noise = replace(self.noise, luma=unit * self.noise.luma, chroma=unit * self.noise.chroma)
        return replace(self, noise=noise, luma=unit * self.luma, chroma=unit * self.chroma, sigma=unit * self.sigma)


_NOTHING = Reading(Noise(0.0, 0.0, False), 0.0, 0.0, 0.0, together=False)


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
        read, unit = noise_of(scene.seen()), 1.0 if scene.plain else scene.range.span
        found.append(None if read is None else read.times(unit).noise)
        return pixels

    for_any(image, channel_axis, look)
    return found[0]


def noise_of(pixels: npt.NDArray[np.generic]) -> Reading | None:
    """The noise of pixels [H, W, C]; transparent ones count as well, as the colour that they have."""
    full = full_scale(pixels.dtype)
    colours = pixels[..., :1].repeat(3, 2) if pixels.shape[2] <= 2 else pixels[..., :3]
    features = noise_features(colours, 255 / full)
    if features is None:
        return None
    read = _NOTHING if _is_drawn(colours, full) else _read(features)
    if read.noise.white:
        # patches and networks both take texture for noise, seldom the same one
        luma, chroma, *_ = as_white(features)
        noise = Noise(min(luma, read.noise.luma), min(chroma, read.noise.chroma), True)
        read = _NOTHING if max(noise.luma, noise.chroma) < _FAINT else replace(read, noise=noise)
    elif read.noise.luma and not read.together:
        sigma = sigma_before_jpeg(colours, 255 / full, as_white(features), read.noise.luma)
        read = replace(read, sigma=sigma, together=True) if sigma else read
    if pixels.shape[2] <= 2:
        read = replace(read, noise=replace(read.noise, chroma=0.0), chroma=0.0, together=False)
    return read.times(full / 255)


def _is_drawn(rgb: npt.NDArray[np.generic], full: float) -> bool:
    """Whether neighbours are mostly equal, black and white set aside (nearly so on a page of words), or all is black
    and white."""
    step = max(1, rgb.shape[0] // 250)
    rows = rgb[::step].astype(np.float32)
    middle = np.any((rows > 0.012 * full) & (rows < 0.988 * full), axis=2)[:, 1:]
    same = np.all(np.equal(rows[:, 1:], rows[:, :-1]), axis=2)
    if middle.mean() < 0.05:
        return True
    elsewhere = same[middle].mean()
    return bool(elsewhere > 0.7 or (elsewhere > 0.35 and same.mean() > 0.6))


def _read(features: npt.NDArray[np.float32]) -> Reading:
    """In grey levels of 255."""
    weights = _weights()
    x = ((features - weights["mean"]) / weights["spread"])[None, :, None]
    for layer in ("first", "second"):
        x = weights[layer] @ x + weights[layer + "_bias"][..., None]
        x = x / (1 + np.exp(-x.clip(-50, 50)))
    said = (weights["third"] @ x + weights["third_bias"][..., None]).mean(0)[:, 0].tolist()
    # what is told is said beside what is there
    of_luma, of_chroma, _, more_luma, more_chroma, more, together = said
    luma, chroma, told_luma, told_chroma, sigma = (
        max(0.0, math.exp(log) - _FLOOR)
        for log in (of_luma, of_chroma, of_luma + more_luma, of_chroma + more_chroma, of_luma + more)
    )
    is_white = said[2] > 0 or _is_even(*as_white(features))
    if not is_white and max(told_luma, told_chroma) < _NEGLIGIBLE:
        return _NOTHING  # what varies is the picture
    return Reading(Noise(luma, chroma, is_white), told_luma, told_chroma, sigma, together=together > 0)


def _is_even(single: float, chroma: float, twos: float, _: float, fours: float) -> bool:
    """Whether patches without texture have the same noise in single pixels, in means of four and of sixteen, and in
    the colours, unless they are gray."""
    coloured = chroma > 0.8 * single or chroma < 0.01
    return single > _SURE and coloured and 0.9 < twos / single < 1.1 and 0.85 < fours / single < 1.15


@lru_cache(maxsize=1)
def _weights() -> dict[str, npt.NDArray[np.float32]]:
    with np.load(_WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}
