"""Compression as it is to be seen in an image, or not for noise."""

from dataclasses import dataclass

import numpy as np

from nlrn.inference.photograph import Levels
from nlrn.pixels.color import LUMA
from nlrn.pixels.compression import compression_level, level_of, quality_of, standard_steps
from nlrn.pixels.scene import Scene
from nlrn.pixels.traces import coarseness_of

_FILE, _SEEN, _STRONG = 0.21, 0.4, 0.75
"""Times the steps of quality 50 (qualities of 89, 80, 62) from which JPEG is seen to: as a file says; as pixels show
that came without theirs; and as these show where the picture would be left about as it is: it may be all there ever
was of it."""
_HIDDEN, _TAKEN, _DOUBTED, _TEXTURE = 0.8, 2.0, 3.5, 5.0
"""Noise of luma, times the level of compression. If less is told, JPEG's own work hides it; is taken for it, where
compression is strong; it is doubted, where no more is told than is there; or it is texture, where chroma has little
of it. Chosen on made pictures and PolyU_dev, like the following."""
_SURE, _GRAYER, _COLOURS = 1.5, 3.0, 0.5
"""What is told of noise that is no doubt there, in smooth pictures, times what was found; the noise of luma that is
rather texture, times that of chroma; and blotches that the model for JPEG leaves, times the level of chroma's
compression."""
_MIDDLE = 1024
"""Pixels each way in which traces are looked for."""


@dataclass(frozen=True)
class Blocks:
    """The strength of what JPEG did to an image."""

    levels: Levels
    """The levels that are told of luma and of chroma, 0 where there is nothing."""
    by_file: bool
    """Whether a file says so; else the pixels show it."""

    @classmethod
    def of(cls, scene: Scene) -> "Blocks":
        """As the file of an image says, or else as its pixels show it."""
        if scene.compression:
            return cls(Levels(*scene.compression), by_file=True)
        return cls(_traces(scene), by_file=False)

    @property
    def quality(self) -> float:
        """About, of the usual program for JPEG."""
        return quality_of(self.levels.luma)

    @property
    def are_strong(self) -> bool:
        """Whether they strike everybody."""
        return self.levels.luma >= level_of(_STRONG)

    def hide(self, told: Levels, found: Levels) -> bool:
        """Whether they are what is to be seen, rather than noise.

        Args:
            told, found: the noise as a model for it would be told, and as it was found; that of luma stands for that
                of chroma where there are no colours to tell by.
        """
        luma = self.levels.luma
        by_noise = told.luma > _HIDDEN * luma
        enough = _FILE if self.by_file else _SEEN if by_noise else _STRONG
        if luma < level_of(enough) or told.chroma > _COLOURS * self.levels.chroma:
            return False
        most = _TAKEN if self.are_strong else _HIDDEN
        if told.luma < _SURE * found.luma:
            most = max(most, _DOUBTED)
        if _GRAYER * found.chroma < found.luma:
            most = max(most, _TEXTURE)
        return told.luma < most * luma


def _traces(scene: Scene) -> Levels:
    """The levels of what JPEG did to pixels of 8 bits, as far as they show it."""
    coarseness = 0.0
    if scene.pixels.dtype == np.uint8 and scene.plain:
        top, left = (max(0, side - _MIDDLE) // 16 * 8 for side in scene.pixels.shape[:2])
        colours = scene.pixels[top : top + _MIDDLE, left : left + _MIDDLE, : scene.colours]
        coarseness = coarseness_of(colours[..., 0] if scene.colours == 1 else colours @ LUMA)
    if not coarseness:
        return Levels(0.0, 0.0)
    steps = (np.rint(coarseness * table).clip(1, 255) for table in standard_steps())
    return Levels(*(compression_level(some) for some in steps))
