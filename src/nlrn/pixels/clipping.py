"""Noise that is cut off at black and at white, which moves the mean of what is left towards the middle.

Where a picture is black, noise can only brighten it: a night sky that was restored would be gray, and a white page
too. How far the mean moves is known, so it is moved back, as A. Foi does in "Clipped noisy images: heteroskedastic
modeling and practical denoising", Signal Processing 89(12), 2009. That the noise was cut off is not taken for
granted, as a camera's highlights are smooth and a drawing's background is even: about as many black or white pixels
have to be around as it would leave.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nlrn.pixels.scene import Scene

_AROUND = 4
"""Pixels to each side in which those that are black or white are counted."""
_NEAR = 2.0
"""Standard deviations from black or white, within which they are counted."""
_SURE = 0.5
"""Of as many as there would be: from so large a part on the noise was cut off for certain."""
_TOO_MANY = 0.75
"""Of those that are nearly white: noise leaves half of them white, and where all are there is none."""
_LEVELS = 4097

Floats = npt.NDArray[np.float64]


class Clipping:
    """Undoes in a restored image that its white noise was cut off, of which the level in each colour is known.

    Args:
        scene: the noisy image.
        sigmas: standard deviation of the noise of each colour before it was cut off, where white is 1.
    """

    def __init__(self, scene: Scene, sigmas: Sequence[float]) -> None:
        self._scene, self._curves = scene, [None if sigma == 0 else _Curves(sigma) for sigma in sigmas]

    def undone(self, colours: Tensor, rows: slice, cols: slice) -> Tensor:
        """The colours [n, h, w] of a restored part of the image, with the mean that the noise took from them."""
        height, width = self._scene.pixels.shape[:2]
        top, left = min(_AROUND, rows.start), min(_AROUND, cols.start)
        wider = (
            slice(rows.start - top, min(height, rows.stop + _AROUND)),
            slice(cols.start - left, min(width, cols.stop + _AROUND)),
        )
        noisy, out = self._scene.tensor(*wider), colours.clone()
        inside = slice(top, top + colours.shape[1]), slice(left, left + colours.shape[2])
        for colour, curves in enumerate(self._curves):
            at_ends = [noisy[colour] == end for end in (0, 1)]
            if curves is None or not any(bool(some.any()) for some in at_ends):
                continue
            nearly = [(noisy[colour] - end).abs() < _NEAR * curves.sigma for end in (0, 1)]
            blacks, whites = (_share(some, of)[inside] for some, of in zip(at_ends, nearly, strict=True))
            out[colour] = curves.level(colours[colour], blacks, whites)
        return out


class _Curves:
    """Expectations of every level from black (0) to white (1), where noise of one strength is cut off."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        levels = torch.linspace(0, 1, _LEVELS, dtype=torch.float64)
        self._levels: Floats = levels.numpy()
        self._means: Floats = mean_of_clipped(levels, sigma).numpy()
        # of the pixels that are nearly white, those that are white; black is the same from the other side
        away = (1 - levels) / sigma
        self._whites: Floats = (
            torch.special.ndtr(-away) / torch.special.ndtr(_NEAR - away).clamp(min=1e-300)
        ).numpy()

    def level(self, mean: Tensor, blacks: Tensor, whites: Tensor) -> Tensor:
        """The levels [h, w] of which the mean is left, where as many pixels are black and white as that makes."""
        means = mean.double().numpy()
        full: Floats = np.interp(means, self._means, self._levels)
        expected = np.interp(np.maximum(full, 1 - full), self._levels, self._whites)
        found = torch.where(torch.from_numpy(full) < 0.5, blacks, whites).numpy()
        enough, not_all = found / np.maximum(_SURE * expected, 1e-12), (1 - found) / (1 - _TOO_MANY)
        trust = np.minimum(enough, not_all).clip(0, 1)
        return torch.from_numpy(means + trust * (full - means)).to(mean.dtype)


def mean_of_clipped(level: Tensor, sigma: float) -> Tensor:
    """The mean of what is left of Gaussian noise about a level when it is cut off at 0 and at 1.

    >>> round(float(mean_of_clipped(torch.tensor(1.0), 0.1)), 4)  # the half above is gone: 1 - 0.1 / sqrt(2 pi)
    0.9601
    """
    return level + sigma * (_excess(level / sigma) - _excess((1 - level) / sigma))


def _excess(away: Tensor) -> Tensor:
    """The mean of what lies beyond an end, so many standard deviations away, in standard deviations."""
    density = torch.exp(-away.square() / 2) / (2 * torch.pi) ** 0.5
    return cast(Tensor, density - away * torch.special.ndtr(-away))


def _share(some: Tensor, of: Tensor) -> Tensor:
    """The part of ``of`` [H, W] around each pixel that is ``some``; 0 where there is none."""
    counts = F.avg_pool2d(torch.stack([some, of])[None].float(), 2 * _AROUND + 1, 1, _AROUND)[0]
    return counts[0] / counts[1].clamp(min=1e-6)
