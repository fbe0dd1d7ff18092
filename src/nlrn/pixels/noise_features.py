"""Measures of a picture's noise: how much it varies where it varies least, at five scales, in luma and chroma.

Each plane is taken apart by Haar wavelets, whose bands are scaled such that white noise is equally strong in all of
them. Blocks of 32 x 32 pixels are then sorted by how much they vary: in the smoothest ones, noise is all there is,
while texture makes blocks unlike each other. Beside that stands what white noise would be in small patches, in single
pixels and in means of four and of sixteen (:mod:`nlrn.pixels.noise`), which texture hardly misleads.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlrn.pixels.color import LUMA
from nlrn.pixels.noise import estimate_sigma

BLOCK = 32
_SCALES = 5
_QUANTILES = (0.03, 0.1, 0.25, 0.5)
_MOST_BLOCKS = 512
_CLIPPED = 3.0  # grey levels from black or white: what is nearer is cut off
FEWEST_BLOCKS = 9
_PATCHES, _FLOOR = 6_000, 0.25
_BAND, _MOST_PIXELS = 64, 400_000

Floats = npt.NDArray[np.float32]


def noise_features(rgb: npt.NDArray[np.generic], scale: float = 1.0) -> Floats | None:
    """Features of a picture [H, W, 3], or None where it has too few blocks that tell anything.

    ``scale`` makes grey levels of 255 of its values.

    Blocks in which no pixel differs from another, such as those of a drawing, and blocks that are black or white in
    part say nothing of noise and are left out where others remain.
    """
    blocks = blocks_of(rgb, BLOCK, _MOST_BLOCKS).astype(np.float32) * np.float32(scale)
    if len(blocks) < FEWEST_BLOCKS:
        return None
    luma = blocks @ LUMA
    chroma = (0.564 * (blocks[..., 2] - luma), 0.713 * (blocks[..., 0] - luma))
    low, high = luma.min((1, 2)), luma.max((1, 2))
    free = (low >= _CLIPPED) & (high <= 255 - _CLIPPED)
    level = high - low > 0
    useful = free & level if (free & level).sum() >= FEWEST_BLOCKS else level
    constant = 1 - level.mean()
    clipped = 1 - free.mean()
    if useful.sum() < FEWEST_BLOCKS:
        return None
    energies = [*_energies(luma[useful])]
    colour = [_energies(plane[useful]) for plane in chroma]
    energies += [(a + b) / 2 for a, b in zip(*colour, strict=True)]
    flat = _flattest(energies[: 2 * _SCALES], 0.05), _flattest(energies[: 2 * _SCALES], 0.2)
    found = []
    for energy in energies:
        found += [*np.quantile(energy, _QUANTILES), *(energy[some].mean() for some in flat)]
    white = np.log(np.add(_read_as_white(rgb, scale), _FLOOR))
    return np.concatenate([np.log(np.sqrt(found) + 0.05), [constant, clipped], white]).astype(np.float32)


def _opponent(rgb: npt.NDArray[np.generic], scale: float = 1.0) -> list[Floats]:
    """Luma and two chroma planes [H, W] of pixels [H, W, 3], in grey levels."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32), 2, 0) * np.float32(scale)
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return [luma, np.float32(0.564) * (blue - luma), np.float32(0.713) * (red - luma)]


def as_white(features: Floats) -> list[float]:
    """The noise in grey levels as if it were white: of luma and chroma, of both in means of four, of luma in means of
    sixteen."""
    return (np.exp(features[-5:]) - _FLOOR).tolist()  # type: ignore[no-any-return]  # a list, says numpy, of anything


def _read_as_white(rgb: npt.NDArray[np.generic], scale: float) -> list[float]:
    """The noise of luma and chroma, taken for white, in single pixels and in means of four, and that of luma in means
    of sixteen; white noise is as strong in all of them."""
    levels = []
    planes = _opponent(_some(rgb), scale)
    for _ in range(2):
        luma, *chromas = (estimate_sigma(plane, most=_PATCHES) for plane in planes)
        levels += [luma, _mean(chromas)]
        planes = [halved(plane) for plane in planes]
    return [*levels, estimate_sigma(planes[0], most=_PATCHES)]


def chroma_of_fours(rgb: npt.NDArray[np.generic], scale: float = 1.0) -> float:
    """The same of chroma in means of sixteen."""
    _, *chromas = _opponent(_some(rgb), scale)
    return _mean([estimate_sigma(halved(halved(plane)), most=_PATCHES) for plane in chromas])


def _some(rgb: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Of a large picture, bands that are spread evenly."""
    height, width = rgb.shape[:2]
    step = -(-height * width // _MOST_PIXELS)
    if step == 1:
        return rgb
    return np.concatenate([rgb[top : top + _BAND] for top in range(0, height - _BAND + 1, step * _BAND)])


def _mean(levels: list[float]) -> float:
    return float(np.sqrt(np.square(levels).mean()))


def halved(plane: Floats) -> Floats:
    """Sums of 2 x 2 pixels over 2, in which white noise is as strong as before."""
    rows, columns = (length // 2 * 2 for length in plane.shape)
    whole = plane[:rows, :columns]
    return np.asarray((whole[::2, ::2] + whole[::2, 1::2] + whole[1::2, ::2] + whole[1::2, 1::2]) / 2, np.float32)


def blocks_of(pixels: npt.NDArray[np.generic], side: int, most: int) -> npt.NDArray[np.generic]:
    """At most about so many blocks [N, side, side, C] of pixels [H, W, C], spread evenly."""
    rows, columns = (length // side for length in pixels.shape[:2])
    whole = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, pixels.shape[2]).swapaxes(1, 2)
    step = max(1, round(np.sqrt(rows * columns / most)))
    return whole[::step, ::step].reshape(-1, side, side, pixels.shape[2])


def _energies(plane: Floats) -> Iterator[Floats]:
    """The mean square of each block [N] in the bands of edges and of corners, finest scale first."""
    for _ in range(_SCALES):
        a, b = plane[:, ::2, ::2], plane[:, ::2, 1::2]
        c, d = plane[:, 1::2, ::2], plane[:, 1::2, 1::2]
        sum_top, sum_bottom, across_top, across_bottom = a + b, c + d, a - b, c - d
        plane = (sum_top + sum_bottom) * np.float32(0.5)
        edges = np.square(sum_top - sum_bottom) + np.square(across_top + across_bottom)
        yield edges.mean((1, 2)) / 8
        yield np.square(across_top - across_bottom).mean((1, 2)) / 4


def _flattest(energies: list[Floats], part: float) -> npt.NDArray[np.intp]:
    """The blocks whose luma varies least in all, so large a part of them."""
    total = np.sum(energies, 0)
    return np.argsort(total)[: max(FEWEST_BLOCKS // 3, int(part * len(total)))]
