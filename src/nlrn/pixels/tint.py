"""Noise that is the same in all colours: gray stored as RGB, sepia, scans, grain laid over a picture.

Where all channels vary together, the noise is one plane's: a network that looks for noise that differs from colour to
colour would leave it, and gain tints.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlrn.pixels.color import LUMA
from nlrn.pixels.noise_features import blocks_of
from nlrn.pixels.scene import Scene

_SIDE = 16
_MOST = 1600  # squares that are looked at
_FEWEST = 4
_SCALES = 3
"""Pixels, twos and fours: a camera's noise has few colours of its own in the pixels, and many in the fours."""
_NEARLY = 2.5 / 255
"""How far the colours of a gray picture are apart, where it was compressed as JPEG."""
_FEW = 0.005
_FLATTEST = 0.25
_FAINT = 1.0 / 255
"""Luma that varies less than this in the flattest squares holds no noise to go by."""
_APART = 0.25
"""How much of the noise may be left in a channel by taking it to be that of the luma, times its slope: 1 where noise
is independent in red, green and blue."""
_ROUNDING = (0.5 / 255) ** 2


def tint_of(scene: Scene) -> npt.NDArray[np.float32] | None:
    """The change of R, G and B where noise changes the luma by 1, [3], or None where each has noise of its own.

    >>> gray = np.random.default_rng(0).integers(100, 150, (32, 32, 1), np.uint8)
    >>> tint_of(Scene(gray.repeat(3, 2)))
    array([1., 1., 1.], dtype=float32)
    >>> tint_of(Scene(np.random.default_rng(0).integers(100, 150, (32, 32, 3), np.uint8)))
    """
    if scene.colours != 3:
        return None
    squares = _squares(scene)
    if not len(squares):
        return None
    if (np.ptp(squares, axis=3) > _NEARLY).mean() <= _FEW:
        return np.ones(3, np.float32)
    corners = list(_corners(squares))
    lumas = [corner @ LUMA for corner in corners]
    varying = sum(np.square(luma).mean((1, 2)) for luma in lumas)
    flattest = np.argsort(varying)[: max(_FEWEST, round(_FLATTEST * len(squares)))]
    finest = lumas[0][flattest].ravel()
    power = float(finest @ finest)
    if power < _FAINT**2 * len(finest):
        return None
    slopes = finest @ corners[0][flattest].reshape(-1, 3) / np.float32(power)
    for scale, (corner, luma) in enumerate(zip(corners, lumas, strict=True)):
        left = np.square(corner[flattest] - luma[flattest][..., None] * slopes).mean((1, 2))
        # the middle one of the squares: a few have colours of the picture in them
        most = _APART**2 * np.median(np.square(luma[flattest]).mean((1, 2))) + _ROUNDING / 4**scale
        if (np.median(left, 0) > most).any():
            return None
    return np.asarray(slopes.round(3), np.float32)


def _squares(scene: Scene) -> npt.NDArray[np.float32]:
    """[N, 16, 16, 3] with white at 1, spread over the picture; those in which a colour is cut off only for want of
    others."""
    squares = scene.units(blocks_of(scene.pixels[..., :3], _SIDE, _MOST))
    known = scene.known
    if known is not None:
        squares = squares[blocks_of(known[..., None], _SIDE, _MOST).all((1, 2, 3))]
    whole = ((squares > 0.004) & (squares < 0.996)).all((1, 2, 3))
    return squares[whole] if whole.sum() >= _FEWEST else squares


def _corners(squares: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """The part that varies both down and across, at each scale: neither slopes nor straight edges are in it."""
    half = np.float32(0.5)
    for _ in range(_SCALES):
        a, b, c, d = (squares[:, i::2, j::2] for i in (0, 1) for j in (0, 1))
        yield np.asarray((a - b - c + d) * half)
        squares = np.asarray((a + b + c + d) * half * half, np.float32)
