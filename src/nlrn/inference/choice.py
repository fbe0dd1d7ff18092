"""Chooses the model that serves a noisy image, and how strong it takes the noise to be."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from nlrn.inference.photograph import Levels
from nlrn.pixels.arrays import full_scale
from nlrn.pixels.color import Planes
from nlrn.pixels.levels import measured_levels
from nlrn.pixels.noise_levels import noise_of
from nlrn.pixels.scene import Scene
from nlrn.pixels.tint import tint_of

PHOTO = "denoise-photo"
"""The model for noise as coarse as a camera's, and for what saving as JPEG does."""
_WEAKEST = 1.0  # of white noise in the luma, in grey levels of 255
_BLOCKS = 2.0
"""Times the level that a file's compression tells of: as much its blocks may be taken for noise."""
_STRONGEST = 70 / 255
_log = logging.getLogger("nlrn")


NOTHING = Levels(0.0, 0.0)


@dataclass(frozen=True)
class Choice:
    """The model, planes and levels by which an image is denoised."""

    model: str | None
    """The photo model, or None: the one that serves white noise."""
    levels: Levels = NOTHING
    """The noise that was found, where white is 1; the luma's of white noise that all colours share."""
    told: Levels = NOTHING
    """What the model is told of it."""
    tint: np.ndarray | None = None
    """How the noise of each colour goes with that of the luma, where it is the same noise."""
    white: bool = True
    """Whether it is white noise, as strong as is told."""

    def times(self, strength: float) -> "Choice":
        """The same with the noise taken to be so many times as strong."""
        levels, told = (Levels(*(strength * level for level in some)) for some in (self.levels, self.told))
        if self.model is not None:
            told = Levels(*(min(level, _STRONGEST) for level in told))
        return replace(self, levels=levels, told=told)

    @property
    def leaves_alone(self) -> bool:
        """Whether there is no noise to speak of."""
        return self.model is not None and not any(self.told)


def choose(scene: Scene, *, photo: bool = False) -> Choice:
    """Look at the noise and the compression of an image, say what is found, and choose.

    Args:
        scene: with transparency or without; what it hides counts only where nothing else is there to be seen.
        photo: whether the photo model is to serve in any case.
    """
    choice = _by_noise(scene, photo=photo)
    level = scene.compression
    if photo or _BLOCKS * level <= _luma_of(choice, scene):
        return choice
    _log.info("strongly compressed as JPEG: mended as noise of sigma %.3g, where white is 255", 255 * level)
    return Choice(None, Levels(level, 0.0), Levels(level, 0.0), choice.tint, white=False)


def _luma_of(choice: Choice, scene: Scene) -> float:
    """The level of noise in the brightness that a choice is to remove."""
    if choice.leaves_alone or choice.told.luma:
        return choice.told.luma
    return measured_levels(scene, Planes(scene.colours, 1))[0]


def _by_noise(scene: Scene, *, photo: bool) -> Choice:
    pixels, gray = scene.seen(), scene.colours == 1
    seen = pixels[..., : scene.colours]
    if scene.has_alpha:
        seen = seen * (pixels[..., -1:] > 0)
    white = full_scale(seen.dtype)
    tint = np.ones(1, np.float32) if gray else tint_of(scene)
    read = noise_of(seen)
    if read is None or (read.noise.white and not photo):
        # white noise, or too little to be seen of it: patches tell
        if gray or tint is None:
            return Choice(None)
        (level,) = measured_levels(scene, Planes(3, 1, tint))
        if 255 * level < _WEAKEST:
            _log.info("no noise to speak of: left as it is")
            return Choice(PHOTO)
        _log.info("the same noise in all colours, estimated: sigma %.3g, where white is 255", 255 * level)
        return Choice(None, Levels(level, 0.0), Levels(level, 0.0), tint)
    read = read.times(1 / white)
    told = Levels(min(read.luma, _STRONGEST), min(read.chroma, _STRONGEST) if tint is None else 0.0)
    if not any(told):
        _log.info("no noise to speak of: left as it is")
        return Choice(PHOTO)
    if read.together and tint is None and not photo:
        # as good as independent in red, green and blue, and as strong: for the model that sees them together
        _log.info("noise estimated: sigma %.3g, where white is 255", 255 * read.sigma)
        return Choice(None, Levels(read.sigma, 0.0), Levels(read.sigma, 0.0), white=False)
    blotches = f" and colour blotches of about {255 * read.noise.chroma:.2g}" if tint is None else ""
    _log.info("grain of about %.2g%s, where white is 255: %s", 255 * read.noise.luma, blotches, PHOTO)
    levels = Levels(read.noise.luma, read.noise.chroma if tint is None else 0.0)
    return Choice(PHOTO, levels, told, tint, white=False)
