"""Colour images as planes that a network of one channel can restore, and back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Brightness and two opponent colours, each within [0, 1] once centred. The rows are orthogonal, so white noise
# that is independent in R, G and B stays independent in the planes.
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, 0.0, -1 / 2), (1 / 4, -1 / 2, 1 / 4))
_OPPONENT_CENTRE = (0.0, 0.5, 0.5)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What each colour has of the brightness that is seen."""

FILL_REACH = 4
"""How many pixels from those that count the others take their colour."""


class Planes:
    """Makes of the colours of an image the planes that a network restores.

    Args:
        colours: 1 (gray) or 3 (RGB), what the image has.
        channels: 1 or 3, what the network takes. A network of one channel restores the planes of a colour image
            as separate images: brightness and two opponent colours.
        tint: how each colour changes where the noise changes the luma by 1, for a network of one channel; the luma
            is then the one plane that holds noise, and what is taken from it is taken from each colour so many times.
    """

    def __init__(self, colours: int, channels: int, tint: np.ndarray | None = None) -> None:
        self.together, self.tint = channels == 3, tint
        # of float32 whatever torch's default is
        if tint is not None:
            luma = LUMA[:colours] / (LUMA[:colours] @ tint)
            matrix = np.concatenate([luma[None], np.linalg.svd(tint[None])[2][1:]]).astype(np.float32)
            centre = np.zeros(colours, np.float32)
        elif colours == 3 and channels == 1:
            matrix, centre = np.array(_OPPONENT, np.float32), np.array(_OPPONENT_CENTRE, np.float32)
        else:
            planes = max(colours, channels)
            matrix = np.eye(3, dtype=np.float32) if colours == 3 else np.ones((planes, 1), np.float32)
            centre = np.zeros(planes, np.float32)
        self.matrix = torch.from_numpy(matrix)
        self.centre = torch.from_numpy(centre).view(-1, 1, 1)
        self.gains: list[float] = self.matrix.norm(dim=1).tolist()
        """The noise in each plane that holds any, where that in each colour is 1."""
        if tint is not None:
            self.gains = [float(1 / np.sqrt(np.square(tint).mean()))]

    def split(self, colours: Tensor) -> Tensor:
        """[n, H, W] in [0, 1] to the network's [B, C, H, W]."""
        planes = torch.einsum("pn,nhw->phw", self.matrix, colours) + self.centre
        return planes[None] if self.together else planes[:, None]

    def join(self, planes: Tensor) -> Tensor:
        """The inverse of :meth:`split`."""
        flat = planes.flatten(0, 1) - self.centre
        return torch.einsum("np,phw->nhw", torch.linalg.pinv(self.matrix), flat)

    def noise_of_colours(self, levels: Sequence[float]) -> list[float]:
        """The noise of each colour, from that of the planes that hold any."""
        if self.matrix.shape[1] == 1:
            return [levels[0]]
        inverse = torch.linalg.pinv(self.matrix)[:, : len(levels)]
        variances: list[float] = (inverse.square() @ torch.tensor(levels, dtype=torch.float32).square()).tolist()
        return [variance**0.5 for variance in variances]

    def one(self, pixels: np.ndarray, plane: int) -> np.ndarray:
        """One plane [H, W] float32 of pixels [H, W, n] of any dtype, in their units, without its centre."""
        total = np.zeros(pixels.shape[:2], np.float32)
        for n, weight in enumerate(self.matrix[plane].tolist()):
            if weight:
                total += np.float32(weight) * pixels[..., n]
        return total


def filled(colour: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give pixels that do not count the colour of the nearest others, so that no fringe of theirs is mixed in.

    Args:
        colour: [H, W, n], finite.
        known: [H, W], the pixels that count; more than FILL_REACH pixels from them nothing is changed.

    Returns:
        [H, W, n], of the type of ``colour``.
    """
    if known.all() or not known.any():
        return colour
    filled = np.where(known[..., None], colour, 0).astype(np.float64 if colour.dtype.itemsize > 4 else np.float32)
    weight = known.astype(np.float32)
    for _ in range(FILL_REACH):
        near = _sum_around(weight)
        fresh = (weight == 0) & (near > 0)
        filled[fresh] = _sum_around(filled)[fresh] / near[fresh][:, None]
        weight[fresh] = 1
    filled[weight == 0] = colour[weight == 0]
    return np.rint(filled).astype(colour.dtype) if colour.dtype.kind in "iu" else filled.astype(colour.dtype)


def _sum_around(array: np.ndarray) -> np.ndarray:
    padded = np.pad(array, [(1, 1), (1, 1)] + [(0, 0)] * (array.ndim - 2))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total: np.ndarray = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total
