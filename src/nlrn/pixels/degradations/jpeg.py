"""Patches as JPEG leaves them: blocks, rings and lost texture in luma, and in chroma at half the resolution.

The level that is told comes from the steps of the file, as it does where a picture is restored
(:mod:`nlrn.pixels.compression`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.pixels.compression import compression_level
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.grain import even_noise
from nlrn.pixels.degradations.record import Batch, OfOnePlane
from nlrn.pixels.opponent import to_opponent
from nlrn.pixels.patches import Patches

_CHROMA, _HALVED = 0.25, 0.75
"""The part of the patches that are chroma, and of these the part whose file keeps it at half the resolution."""
_QUALITIES = (5, 91)
"""From, to below."""
_NOISY, _STRONGEST = 0.3, 20 / 255
"""The part of the pictures that had noise before they were saved, and how strong it is at most; mostly weaker."""
_VALIDATED = (10, 20, 40)


class Jpeg(OfOnePlane):
    """Saved at an even choice of qualities, blocks beginning anywhere, a third of them with noise of their own.

    What is told is the compression alone. The weight evens out how much error is left.
    """

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        device = generator.device
        of_chroma = int((torch.rand(count, generator=generator, device=device) < _CHROMA).sum())
        qualities = torch.randint(*_QUALITIES, (count,), generator=generator, device=device).tolist()
        starts = torch.randint(8, (count, 2), generator=generator, device=device).tolist()
        halved = (torch.rand(count, generator=generator, device=device) < _HALVED).tolist()
        planes = torch.randint(1, 3, (count,), generator=generator, device=device).tolist()
        made = []
        for some, larger in ((range(of_chroma), 2), (range(of_chroma, count), 1)):
            if not some:
                continue
            clean = patches.cut(len(some), larger * side, generator)
            noisy = _noisy(clean, generator)
            for i, picture, grainy in zip(some, clean, noisy, strict=True):
                saved = Compression("JPEG", qualities[i], half_colour=halved[i], start=tuple(starts[i]))
                plane = planes[i] if larger > 1 else 0
                made.append(_of_a_file(grainy, picture, saved, plane))
        degraded, clean, level = _joined(made)
        error = (degraded - clean).square().mean((1, 2, 3)).sqrt()
        return Batch(degraded, clean, level, (10 / 255) / error.clamp(min=2 / 255))

    def validation(self, crops: Patches) -> dict[int, Batch]:
        """The luma of all crops at three qualities, without noise."""
        batches = {}
        for quality in _VALIDATED:
            saved = Compression("JPEG", quality, half_colour=False)
            degraded, clean, level = _joined([_of_a_file(picture, picture, saved, 0) for picture in crops.whole])
            batches[quality] = Batch(degraded, clean, level, torch.ones(len(level)))
        return batches


def _noisy(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [B, 3, P, P], some with noise of their own, white or somewhat blurred."""
    has, level, white, blur = torch.rand(4, len(clean), generator=generator, device=generator.device)
    level = torch.where(has < _NOISY, _STRONGEST * level.square(), torch.zeros(()))
    return clean + even_noise(clean, level, torch.where(white < 0.5, torch.zeros(()), blur), generator)


def _of_a_file(picture: Tensor, clean: Tensor, saved: Compression, plane: int) -> tuple[Tensor, Tensor, float]:
    """A picture [3, H, W] as it is read once it was saved, as it should be, and the level that is told of it.

    Args:
        plane: 0, luma [1, H, W], of a file in gray, which rounds it alike; or a chroma plane (1 or 2) at half the
            resolution and around 0.5, [1, H/2, W/2].
    """
    target = to_opponent(clean)[plane : plane + 1]
    if plane == 0:
        read, steps = saved.saved(to_opponent(picture)[:1])
        return read, target, compression_level(steps[0])
    read, steps = saved.saved(picture)
    degraded, target = (F.avg_pool2d(one, 2) + 0.5 for one in (to_opponent(read)[plane : plane + 1], target))
    return degraded, target, compression_level(steps[1])


def _joined(made: list[tuple[Tensor, Tensor, float]]) -> tuple[Tensor, Tensor, Tensor]:
    degraded, clean, levels = zip(*made, strict=True)
    return torch.stack(degraded), torch.stack(clean), torch.tensor(levels, device=clean[0].device)
