"""Patches as photographs are: soft, with grain and blotches, developed from raw counts, compressed."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.grain import camera_noise, even_noise
from nlrn.pixels.degradations.raw import Camera
from nlrn.pixels.degradations.record import Batch, OfOnePlane, seeded
from nlrn.pixels.degradations.softness import enlarge_middle
from nlrn.pixels.opponent import levels_of, to_opponent
from nlrn.pixels.patches import Patches

_STRONGEST = 20 / 255
_PLANES_OF_CHROMA = 4
"""One of so many patches is chroma."""
_GRAIN, _EVEN, _RAW = 0.62, 0.77, 0.9
"""Up to which of the evenly drawn numbers an image gets camera noise, even noise, raw noise; beyond, none."""


class Photo(OfOnePlane):
    """The luma of patches as photographs are, and a quarter of them chroma at half the resolution, around 0.5.

    The level that is told is some 20 % off, as an estimate is. The weight evens out how much error weak and strong
    noise leave.
    """

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        colourful = count // _PLANES_OF_CHROMA // 2  # each of them has two planes of chroma
        parts = [_luma(photographs(patches.cut(count - 2 * colourful, side, generator), generator))]
        if colourful:
            parts.append(_chroma(photographs(patches.cut(colourful, 2 * side, generator), generator)))
        degraded, clean, level = (torch.cat(of_both) for of_both in zip(*parts, strict=True))
        return _told(degraded, clean, level, generator)

    def validation(self, crops: Patches) -> dict[int, Batch]:
        """The luma of all crops, three times."""
        batches = {}
        for number in range(3):
            generator = seeded(number)
            batches[number] = _told(*_luma(photographs(crops.whole, generator)), generator)
        return batches


def _told(degraded: Tensor, clean: Tensor, level: Tensor, generator: torch.Generator) -> Batch:
    off = torch.randn(len(clean), generator=generator, device=clean.device)
    error = (degraded - clean).square().mean((1, 2, 3)).sqrt()
    return Batch(degraded, clean, level * torch.exp(0.2 * off), (25 / 255) / error.clamp(min=2 / 255))


class Photographs(NamedTuple):
    """Degraded and clean images [B, 3, P, P], and the standard deviations of luma and chroma noise [B, 2]."""

    degraded: Tensor
    clean: Tensor
    levels: Tensor


def _luma(made: Photographs) -> tuple[Tensor, Tensor, Tensor]:
    """Degraded and clean planes [B, 1, P, P], and the levels of the noise in them."""
    degraded, clean = (to_opponent(image)[:, :1] for image in (made.degraded, made.clean))
    return degraded, clean, made.levels[:, 0]


def _chroma(made: Photographs) -> tuple[Tensor, Tensor, Tensor]:
    """The same of chroma, [2B, 1, P/2, P/2]."""
    degraded, clean = (
        F.avg_pool2d(to_opponent(image)[:, 1:], 2).flatten(0, 1)[:, None] + 0.5
        for image in (made.degraded, made.clean)
    )
    return degraded, clean, made.levels[:, 1].repeat_interleave(2)


def photographs(sharp: Tensor, generator: torch.Generator) -> Photographs:
    """Make photographs of sharp and clean patches [B, 3, P, P] in [0, 1].

    Three of four are enlarged one to three times, one of twelve loses its colours. The noise is mostly that of
    cameras, up to about 20 grey levels, weak noise more often; half of the images are compressed, some twice, and all
    are rounded to 8 bits. The levels are those of the noise that is left at the end.
    """
    images = len(sharp)
    device = sharp.device
    soft, factor, gray, kind, strong_luma, strong_chroma, blur, white, press = torch.rand(
        9, images, generator=generator, device=device
    )
    clean = enlarge_middle(sharp, torch.where(soft < 0.75, 1 + 2 * factor, torch.ones(()))).clamp(0, 1)
    is_gray = gray < 1 / 12
    clean = torch.where(is_gray.view(-1, 1, 1, 1), to_opponent(clean)[:, :1], clean)
    kind = torch.where(is_gray, kind * _GRAIN, kind)

    luma, chroma = _STRONGEST * strong_luma.square(), _STRONGEST * strong_chroma.square() * ~is_gray
    coarseness = torch.where(white < 0.4, torch.zeros(()), 1.5 * blur)
    noise = torch.zeros_like(clean)
    plain = clean.clone()
    some = kind < _GRAIN
    noise[some] = camera_noise(clean[some], luma[some], chroma[some], generator)
    some = (kind >= _GRAIN) & (kind < _EVEN)
    noise[some] = even_noise(clean[some], 1.5 * luma[some], coarseness[some], generator)
    some = (kind >= _EVEN) & (kind < _RAW)
    if some.any():
        camera = Camera.draw(int(some.sum()), generator)
        counts = camera.sensed(clean[some])
        plain[some] = camera.developed(counts)
        noise[some] = camera.developed(camera.noisy(counts, generator)) - plain[some]
    degraded = (plain + noise).clamp(0, 1)
    for i, (chance, noiseless) in enumerate(zip(press.tolist(), (kind >= _RAW).tolist(), strict=True)):
        times = 1 if noiseless or chance < 0.6 else 0
        for _ in range(times + (times and chance < 0.12)):
            compression = Compression.draw(10 if noiseless else 30, generator)
            degraded[i], plain[i] = compression(degraded[i]), compression(plain[i])
    degraded = degraded.mul(255).round().div(255)
    return Photographs(degraded, clean, levels_of(degraded - plain))
