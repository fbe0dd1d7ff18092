"""Chooses the model that serves a noisy image, and how strong it takes the noise to be."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from nlrn.inference.photograph import Levels
from nlrn.pixels.arrays import colours_of, full_scale
from nlrn.pixels.noise import estimate_sigma
from nlrn.pixels.noise_levels import noise_of
from nlrn.pixels.tint import tint_of

PHOTO = "denoise-photo"
"""The model for noise as coarse as a camera's, and for what saving as JPEG does."""
_NEGLIGIBLE = 1.5  # luma and chroma together, in grey levels of 255: what clean pictures are given too
_WEAKEST = 1.0  # the same of white noise in the luma of a gray picture
_LEAST_LUMA = 1.5
"""Grey levels that are assumed where there is any noise: they change a clean picture by less than can be seen, and
where JPEG has flattened the noise, the estimate is too low."""
_LEAST_CHROMA = 0.35
"""Of the level of luma: no camera has less, and where JPEG has flattened its blotches, the estimate may."""
_STRONGEST = Levels(40 / 255, 35 / 255)
_log = logging.getLogger("nlrn")


NOTHING = Levels(0.0, 0.0)


@dataclass(frozen=True)
class Choice:
    """The model, planes and levels by which an image is denoised."""

    model: str | None
    """The photo model, or None: the one that serves white noise."""
    levels: Levels = NOTHING
    """The noise, in units of [0, 1]: what the photo model is told; for white noise in a tinted image, its luma."""
    tint: np.ndarray | None = None
    """How every channel goes with the luma, where they go together."""

    def times(self, strength: float) -> "Choice":
        """The same with the noise taken to be so many times as strong."""
        levels = Levels(*(strength * level for level in self.levels))
        if self.model is not None:
            levels = Levels(*map(min, levels, _STRONGEST))
        return replace(self, levels=levels)

    @property
    def leaves_alone(self) -> bool:
        """Whether there is no noise to speak of."""
        return self.model is not None and not any(self.levels)


def choose(pixels: np.ndarray, *, photo: bool = False) -> Choice:
    """Look at the noise of pixels [H, W, C], say what is found, and choose.

    Args:
        pixels: with transparency or without; what it hides counts only where nothing else is there to be seen.
        photo: whether the photo model is to serve in any case.
    """
    white = full_scale(pixels.dtype)
    colours = colours_of(pixels)
    seen = pixels[..., :colours]
    if pixels.shape[2] > colours:
        seen = seen * (pixels[..., -1:] > 0)
    tint = tint_of(seen, white) if colours == 3 else np.ones(1, np.float32)
    noise = noise_of(seen)
    unclear = noise is None or noise.white or (noise.luma + noise.chroma) / white * 255 < _NEGLIGIBLE
    if noise is None or (unclear and not photo):
        # white noise, or none: patches tell
        if colours == 1 or tint is None:
            return Choice(None)
        sigma = estimate_sigma(_luma(seen)) / white
        if 255 * sigma < _WEAKEST:
            _log.info("no noise to speak of: left as it is")
            return Choice(PHOTO)
        _log.info("gray, stored as colour; noise estimated: sigma %.3g, where white is 255", 255 * sigma)
        return Choice(None, Levels(sigma, 0.0), tint)
    luma = max(noise.luma / white * 255, _LEAST_LUMA)
    chroma = 0.0 if tint is not None else max(noise.chroma / white * 255, _LEAST_CHROMA * luma)
    blotches = f" and colour blotches of about {chroma:.2g}" if tint is None else ""
    _log.info("grain of about %.2g%s, where white is 255: %s", luma, blotches, PHOTO)
    return Choice(PHOTO, Levels(luma / 255, chroma / 255), tint)


def _luma(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
