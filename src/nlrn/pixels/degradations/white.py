"""White Gaussian noise, never clipped: the usual test of denoisers."""

import torch
from torch import Tensor

from nlrn.pixels.degradations.record import AtLevels, Batch, Normal
from nlrn.pixels.patches import Patches

_USUAL = (15, 25, 50)


class White(AtLevels):
    """Noise of a level drawn evenly between the two that are asked for.

    The weight 1/sigma keeps the strong noise from ruling the loss: the error that a good denoiser leaves grows
    about as sigma does.
    """

    @property
    def validated(self) -> tuple[int, ...]:
        """The usual levels in the range, or else its middle."""
        lowest, highest = self.levels
        return tuple(s for s in _USUAL if lowest <= s <= highest) or (round((lowest + highest) / 2),)

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        clean = patches.cut(count, side, generator)
        device = clean.device
        low, high = self.levels
        sigma = (low + (high - low) * torch.rand(count, generator=generator, device=device)) / 255
        noise = torch.randn(clean.shape, generator=generator, device=device)
        return Batch(clean + sigma.view(-1, 1, 1, 1) * noise, clean, sigma, (25 / 255) / sigma.clamp(min=5 / 255))

    def at(self, clean: Tensor, level: float, normal: Normal) -> Batch:
        sigma = level / 255
        ones = torch.ones(len(clean), dtype=clean.dtype)
        return Batch(clean + sigma * normal(clean.shape).to(clean), clean, sigma * ones, ones)
