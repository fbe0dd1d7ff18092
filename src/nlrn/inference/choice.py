"""Chooses the model that serves a noisy image, and how strong it takes the noise to be."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from nlrn.inference.compressed import Blocks
from nlrn.inference.photograph import Levels
from nlrn.pixels.arrays import full_scale
from nlrn.pixels.color import Planes
from nlrn.pixels.levels import measured_levels
from nlrn.pixels.noise_levels import noise_of
from nlrn.pixels.scene import Scene
from nlrn.pixels.tint import tint_of

PHOTO = "denoise-photo"
"""The model for noise as coarse as a camera's."""
JPEG = "denoise-jpeg"
"""The model for blocks and rings of JPEG."""
BY_PLANES = (PHOTO, JPEG)
"""Those that restore luma and chroma apart, each told its own level."""
_WEAKEST = 1.0  # of white noise in the luma, in grey levels of 255
_STRONGEST = 70 / 255
_NOTHING = "no noise to speak of: left as it is"
_log = logging.getLogger("nlrn")


NOTHING = Levels(0.0, 0.0)
_GRAY = np.ones(1, np.float32)


@dataclass(frozen=True)
class Choice:
    """The model, planes and levels by which an image is denoised."""

    model: str | None
    """One of BY_PLANES, or None: the one that serves white noise."""
    levels: Levels = NOTHING
    """The noise that was found, where white is 1; the luma's of white noise that all colours share."""
    told: Levels = NOTHING
    """What the model is told of it."""
    tint: np.ndarray | None = None
    """How the noise of each colour goes with that of the luma, where it is the same noise."""
    white: bool = True
    """Whether it is white noise, as strong as is told."""
    said: str = ""
    """What was found, for people; empty where the level of white noise is still to be told."""

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


def choose(scene: Scene, asked: str | None = None) -> Choice:
    """Look at the noise and the compression of an image, say what is found, and choose.

    Args:
        scene: with transparency or without; what it hides counts only where nothing else is there to be seen.
        asked: the one of BY_PLANES that is to serve in any case.
    """
    if asked == JPEG:
        blocks = Blocks.of(scene)
        choice = _mended(scene, blocks) if any(blocks.levels) else Choice(JPEG, said="no JPEG: left as it is")
    else:
        choice = _by_noise(scene, photo=asked == PHOTO)
        if asked is None:
            blocks = Blocks.of(scene)
            if any(blocks.levels) and blocks.hide(*_noise_of(choice, scene)):
                choice = _mended(scene, blocks)
    if choice.said:
        _log.info(choice.said)
    return choice


def say_blocks(scene: Scene) -> None:
    """Tell people who enlarge a strongly compressed picture that its blocks become larger too."""
    if scene.compression and (blocks := Blocks.of(scene)).are_strong:
        _log.info(
            "saved as JPEG of a quality of about %.0f: nlrn denoise takes blocks away, before this", blocks.quality
        )


def _tint(scene: Scene) -> np.ndarray | None:
    return tint_of(scene) if scene.colours > 1 else _GRAY


def _mended(scene: Scene, blocks: Blocks) -> Choice:
    tint = _tint(scene)
    told = blocks.levels if tint is None else Levels(blocks.levels.luma, 0.0)
    said = f"saved as JPEG of a quality of about {blocks.quality:.0f}: {JPEG}"
    return Choice(JPEG, told, told, tint, white=False, said=said)


def _noise_of(choice: Choice, scene: Scene) -> tuple[Levels, Levels]:
    """The noise that a choice is to remove, as it is told and as it was found."""
    told, found = choice.told, choice.levels
    if choice.model is None and not told.luma:
        told = found = Levels(measured_levels(scene, Planes(scene.colours, 1))[0], 0.0)
    is_gray = scene.colours == 1 or (choice.tint is not None and not np.ptp(choice.tint))
    return told, Levels(found.luma, found.luma) if choice.model is None or is_gray else found


def _by_noise(scene: Scene, *, photo: bool) -> Choice:
    pixels, gray = scene.seen(), scene.colours == 1
    seen = pixels[..., : scene.colours]
    if scene.has_alpha:
        seen = seen * (pixels[..., -1:] > 0)
    white = full_scale(seen.dtype)
    tint = _tint(scene)
    read = noise_of(seen)
    if read is None or (read.noise.white and not photo):
        # white noise, or too little to be seen of it: patches tell
        if gray or tint is None:
            return Choice(None)
        (level,) = measured_levels(scene, Planes(3, 1, tint))
        if 255 * level < _WEAKEST:
            return Choice(PHOTO, said=_NOTHING)
        said = f"the same noise in all colours, estimated: sigma {255 * level:.3g}, where white is 255"
        return Choice(None, Levels(level, 0.0), Levels(level, 0.0), tint, said=said)
    read = read.times(1 / white)
    told = Levels(min(read.luma, _STRONGEST), min(read.chroma, _STRONGEST) if tint is None else 0.0)
    if not any(told):
        return Choice(PHOTO, said=_NOTHING)
    if read.together and tint is None and not photo:
        # as good as independent in red, green and blue, and as strong: for the model that sees them together
        said = f"noise estimated: sigma {255 * read.sigma:.3g}, where white is 255"
        return Choice(None, Levels(read.sigma, 0.0), Levels(read.sigma, 0.0), white=False, said=said)
    blotches = f" and colour blotches of about {255 * read.noise.chroma:.2g}" if tint is None else ""
    said = f"grain of about {255 * read.noise.luma:.2g}{blotches}, where white is 255: {PHOTO}"
    levels = Levels(read.noise.luma, read.noise.chroma if tint is None else 0.0)
    return Choice(PHOTO, levels, told, tint, white=False, said=said)
