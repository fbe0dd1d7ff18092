"""Photographs by a network of one channel: luma as it is, chroma at half the resolution, joined again.

Chroma noise is so coarse that half the resolution loses nothing of it, and it is nearer there to the white noise that
networks know best; both planes together cost half as much as luma. What chroma holds beyond that resolution is kept
where it is stronger than noise (a Wiener filter).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.inference.fused import FusedNLRN
from nlrn.inference.tiles import Given, Progress, pieces, plan_for
from nlrn.pixels.arrays import to_tensor
from nlrn.pixels.opponent import to_opponent, to_rgb

_DETAIL = 0.19
"""The deviation of what half the resolution leaves out of chroma noise, of what the network is told of the noise."""
_SIDE = 9
"""Pixels each way in which the strength of chroma's details is measured."""
_MARGIN = 16
"""Pixels around a piece that its chroma is made of; even."""
_STRIP = 512


class Levels(NamedTuple):
    """Standard deviations of noise, in units of [0, 1]."""

    luma: float
    chroma: float


def restored_photograph(
    network: FusedNLRN, pixels: np.ndarray, told: Levels, *, ensemble: bool, progress: Progress | None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows, columns and restored pieces [3, h, w] in [0, 1], not clipped, of pixels [H, W, 3] of any dtype.

    Args:
        told: the noise, as it is for a network that was trained on white noise: of the luma, and of the chroma at
            half the resolution.
    """
    chroma = Chroma(network, pixels, told.chroma, ensemble)

    def read(rows: slice, cols: slice) -> Given:
        planes = to_opponent(to_tensor(pixels[rows, cols]))
        return Given(planes[None, :1], planes)

    plan = plan_for(network, pixels.shape[0], pixels.shape[1], 1)
    sigma = torch.tensor([told.luma])
    for rows, cols, luma, _ in pieces(network, plan, read, sigma, ensemble=ensemble, progress=progress):
        yield rows, cols, to_rgb(torch.cat([luma[0], chroma.part(rows, cols)]))


class Chroma:
    """The two chroma planes of an image, restored at half the resolution."""

    def __init__(self, network: FusedNLRN, pixels: np.ndarray, level: float, ensemble: bool) -> None:
        self.pixels, self.level = pixels, level
        self.noisy = torch.cat([_halved(pixels[top : top + _STRIP]) for top in range(0, len(pixels), _STRIP)], 2)
        self.clean = torch.empty_like(self.noisy)

        def read(rows: slice, cols: slice) -> Given:
            planes = self.noisy[:, :, rows, cols] + 0.5
            return Given(planes, planes)

        plan = plan_for(network, self.noisy.shape[2], self.noisy.shape[3], 2)
        sigma = torch.full((2,), level)
        for rows, cols, restored, _ in pieces(network, plan, read, sigma, ensemble=ensemble):
            self.clean[:, :, rows, cols] = restored - 0.5

    def part(self, rows: slice, cols: slice) -> Tensor:
        """The restored chroma [2, h, w] of some rows and columns."""
        height, width = self.pixels.shape[:2]
        top, left = (max(0, s.start // 2 * 2 - _MARGIN) for s in (rows, cols))
        bottom, right = min(height, rows.stop + _MARGIN), min(width, cols.stop + _MARGIN)
        low = (..., slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2))
        size = (bottom - top, right - left)
        around = to_opponent(to_tensor(self.pixels[top:bottom, left:right]))[1:, None]
        detail = around - _doubled(self.noisy[low], size)
        power = F.avg_pool2d(F.pad(detail.square(), [_SIDE // 2] * 4, mode="replicate"), _SIDE, 1)
        noise = 2 * (_DETAIL * self.level) ** 2
        whole = _doubled(self.clean[low], size) + (1 - noise / power.clamp(min=noise)) * detail
        return whole[:, 0, rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


def _halved(pixels: np.ndarray) -> Tensor:
    """Chroma [2, 1, h, w] at half the resolution."""
    chroma = to_opponent(to_tensor(pixels))[1:, None]
    odd = (0, chroma.shape[3] % 2, 0, chroma.shape[2] % 2)
    return F.avg_pool2d(F.pad(chroma, odd, mode="replicate"), 2)


def _doubled(planes: Tensor, size: tuple[int, int]) -> Tensor:
    double = F.interpolate(planes, scale_factor=2, mode="bicubic", align_corners=False)
    return double[..., : size[0], : size[1]]
