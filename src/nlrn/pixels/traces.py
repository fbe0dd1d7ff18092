"""Traces of JPEG in pixels that come without its file: a screenshot, a PNG made of a download.

JPEG rounds the frequencies of blocks of 8x8 pixels to multiples of a step each, and what is read from the file still
shows it: at a step that was used, the cosine of 2 pi times the frequency over the step is nearly 1 in every block.
(Z. Fan, R. de Queiroz, "Identification of Bitmap Compression History", IEEE TIP 2003, for the idea of reading the
steps from the pixels.)
"""

from functools import cache

import numpy as np

from nlrn.pixels.compression import standard_steps

_BLOCKS = 1500
"""Blocks that are looked at, spread evenly."""
_LARGEST = 130
_WIDTH = 0.25
"""Of the bins in which frequencies are counted."""
_FEWEST, _SURE = 30, 0.6
"""So many blocks must hold a frequency, and so large must the mean cosine be, for a step to be believed."""
_AGREE, _APART = 5, 0.35
"""So many steps, two thirds of all that are found, must be the same times those of the standard, within a third."""

_ROWS, _COLUMNS = np.array([(row, column) for row in range(6) for column in range(6) if 0 < row + column < 6]).T


def coarseness_of(luma: np.ndarray) -> float:
    """The steps by which JPEG has rounded a picture, as a multiple of those of quality 50; 0: no traces of it.

    Args:
        luma: [H, W], in units of 8 bits, as it was read from the file; parts cut off at the top and left do no harm.

    >>> coarseness_of(np.random.default_rng(0).normal(128, 20, (64, 64)))
    0.0
    """
    if min(luma.shape) < 24:
        return 0.0
    luma = luma.astype(np.float32)
    for top, left in dict.fromkeys([(0, 0), (_start(luma), _start(luma.T))]):
        found = _coarseness(luma[top:, left:])
        if found:
            return found
    return 0.0


def _coarseness(luma: np.ndarray) -> float:
    height, width = (side // 8 for side in luma.shape)
    blocks = luma[: 8 * height, : 8 * width].reshape(height, 8, width, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    blocks = blocks[np.linspace(0, len(blocks) - 1, min(len(blocks), _BLOCKS)).astype(int)]
    cosines = _cosines()
    frequencies = np.abs(cosines @ blocks @ cosines.T)[:, _ROWS, _COLUMNS]
    steps, waves, counted = _tables()
    bins = np.minimum(frequencies / _WIDTH, counted.shape[1] - 1).astype(int)
    counts = np.stack([np.bincount(column, minlength=counted.shape[1]) for column in bins.T], 1).astype(np.float32)
    held = counted @ counts
    sure = (waves @ counts > _SURE * held) & (held >= _FEWEST)
    # of those that divide a step all are as sure: the largest is it
    largest = np.where(sure.any(0), steps[len(steps) - 1 - sure[::-1].argmax(0)], 0)
    standard = standard_steps()[0][_ROWS, _COLUMNS]
    times = np.log(largest[largest > 0] / standard[largest > 0])
    if len(times) < _AGREE:
        return 0.0
    middle = float(np.median(times))
    agree = (np.abs(times - middle) < _APART).sum()
    return float(np.exp(middle)) if agree >= max(_AGREE, 2 * len(times) / 3) else 0.0


def _start(luma: np.ndarray) -> int:
    """The first row at which a block begins: where neighbours differ more than those around, every eighth time."""
    step = np.abs(np.diff(luma, axis=0)).mean(1)
    edge = step[1:-1] - (step[:-2] + step[2:]) / 2
    folded = edge[: len(edge) // 8 * 8].reshape(-1, 8).mean(0)
    return int(folded.argmax() + 2) % 8


@cache
def _cosines() -> np.ndarray:
    """The discrete cosine transform of 8 values, [8, 8] (orthonormal)."""
    along = np.arange(8)
    matrix = np.cos((2 * along + 1) * along[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps [S], and for each and each bin of frequencies [S, bins] the cosine, and whether the step counts it: what
    is rounded to nothing says nothing."""
    steps = np.arange(2, _LARGEST)
    middles = _WIDTH * (np.arange(round(4 * _LARGEST / _WIDTH)) + 0.5)
    counted = (middles > steps[:, None] / 2) & (np.arange(len(middles)) < len(middles) - 1)
    waves = np.cos(2 * np.pi * middles / steps[:, None]) * counted
    return steps, waves.astype(np.float32), counted.astype(np.float32)
