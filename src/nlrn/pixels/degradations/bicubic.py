"""Reduction by MATLAB's antialiased bicubic, rounded to 8 bits: the usual test of super-resolution."""

import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.pixels.degradations.record import AtLevels, Batch, Normal
from nlrn.pixels.degrade import resize_bicubic, round_8bit
from nlrn.pixels.patches import Patches

# pixels around a patch, whose enlargement must not see replicated ones; a multiple of every scale
_MARGIN = 12
# pixels of a reduced image around a patch, whose own must not see replicated ones
_REDUCED_MARGIN = 2
# evens out how much squared error each scale leaves
_WEIGHT = {2: 2.0, 3: 1.0, 4: 0.7}


def bicubic(config: Config, levels: tuple[float, ...]) -> AtLevels:
    """The degradation for a network that enlarges itself, or for one that is given what bicubic has enlarged."""
    return Reduced(config, levels) if config.post_upsampling else Enlarged(config, levels)


def reduced(clean: Tensor, scale: int) -> Tensor:
    """[..., H, W] reduced by a factor of both sides, clipped and rounded to 8 bits."""
    return round_8bit(resize_bicubic(clean, clean.shape[-2] // scale, clean.shape[-1] // scale))


class _Bicubic(AtLevels):
    @property
    def validated(self) -> tuple[int, ...]:
        """All scales."""
        return tuple(int(scale) for scale in self.levels)


class Reduced(_Bicubic):
    """Reduced images, and what they were before; the scales take turns."""

    def side(self, patch: int) -> int:
        return (patch + 2 * _REDUCED_MARGIN) * min(self.validated)

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        scale = self.validated[turn % len(self.levels)]
        full = patches.cut(count, (side + 2 * _REDUCED_MARGIN) * scale, generator)
        inner = slice(_REDUCED_MARGIN, -_REDUCED_MARGIN)
        middle = slice(_REDUCED_MARGIN * scale, -_REDUCED_MARGIN * scale)
        weight = torch.full((count,), _WEIGHT.get(scale, 1.0), device=full.device)
        sigma = torch.zeros(count, device=full.device)
        return Batch(reduced(full, scale)[..., inner, inner], full[..., middle, middle], sigma, weight, scale)

    def at(self, clean: Tensor, level: float, normal: Normal) -> Batch:
        scale = int(level)
        clean = _multiple(clean, scale)
        zeros = torch.zeros(len(clean), dtype=clean.dtype)
        return Batch(reduced(clean, scale), clean, zeros, zeros + 1, scale)


class Enlarged(_Bicubic):
    """Images reduced and enlarged again by bicubic.

    The scales are mixed within the batch, since its norms must see the mixture they meet later. The weights
    even out how much error each scale leaves.
    """

    def side(self, patch: int) -> int:
        return -(-(patch + 2 * _MARGIN) // 12) * 12

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        whole = self.side(side)
        full = patches.cut(count, whole, generator)
        # a whole image begins where a low-resolution pixel does, so a patch must too: a network that unshuffles is
        # 7 dB worse at x2 on images that begin one pixel later
        middle = slice(_MARGIN, _MARGIN + side)
        scales = self.validated
        scale = torch.tensor(scales).repeat(-(-count // len(scales)))[:count]
        degraded = torch.empty(count, full.shape[1], side, side, device=full.device)
        for s in scales:
            some = (scale == s).to(full.device)
            degraded[some] = resize_bicubic(reduced(full[some], s), whole, whole)[..., middle, middle]
        weight = torch.tensor([_WEIGHT.get(s, 1.0) for s in scale.tolist()])
        sigma = torch.zeros(count, device=full.device)
        return Batch(degraded, full[..., middle, middle], sigma, weight.to(full.device))

    def at(self, clean: Tensor, level: float, normal: Normal) -> Batch:
        scale = int(level)
        clean = _multiple(clean, scale)
        zeros = torch.zeros(len(clean), dtype=clean.dtype)
        given = resize_bicubic(reduced(clean, scale), clean.shape[-2], clean.shape[-1])
        return Batch(given, clean, zeros, zeros + 1)


def _multiple(clean: Tensor, scale: int) -> Tensor:
    height, width = (side // scale * scale for side in clean.shape[-2:])
    return clean[..., :height, :width]
