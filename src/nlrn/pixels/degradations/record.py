"""The record of a degradation: training, validation and evaluation all go by it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.pixels.patches import Patches

Normal = Callable[[Sequence[int]], Tensor]
"""Makes standard normal noise of a shape."""


class Batch(NamedTuple):
    """Degraded and clean patches [B, C, P, P] in [0, 1], and for each its noise level and weight in the loss [B].

    Where the network itself enlarges, the clean patches are ``scale`` times as high and wide as the degraded ones.
    """

    degraded: Tensor
    clean: Tensor
    sigma: Tensor
    weight: Tensor
    scale: int = 1

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor of it changed."""
        degraded, clean, sigma, weight = map(change, self[:4])
        return Batch(degraded, clean, sigma, weight, self.scale)


@dataclass(frozen=True)
class Degradation(ABC):
    """Makes of clean images what a network is given. A new one has to say :meth:`batch`, and no more.

    Raises:
        ValueError: the network cannot restore what is made.
    """

    config: Config
    """The network that is to restore it."""
    levels: tuple[float, ...]
    """As asked for: the weakest and the strongest noise in grey levels, or the scales."""

    def __post_init__(self) -> None:
        if self.refusal:
            raise ValueError(self.refusal)

    @property
    def refusal(self) -> str | None:
        """The reason why the network cannot restore what is made, if it cannot."""
        return None

    @property
    def sees(self) -> str:
        """The part of the training images that is read: "rgb", "gray" or "luma", as the network is given them."""
        return self.config.sees

    def side(self, patch: int) -> int:
        """The side of the clean patch that one of side ``patch`` is made of, at the smallest scale."""
        return patch

    @abstractmethod
    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        """A batch to train on.

        Args:
            patches: where clean ones are cut from.
            count, side: so many patches of that side, of what the network is given.
            turn: the iteration; what cannot be mixed in a batch takes turns by it.
            generator: of all random numbers, on the device of the patches.
        """

    def validation(self, crops: Patches) -> dict[int, Batch]:
        """Batches to measure a network on, the same at every call: three as training has them, by number.

        Args:
            crops: square images of one size, a multiple of 12, on the CPU.
        """
        count, side = len(crops.height), int(crops.height[0])
        return {turn: self.batch(crops, count, side, turn, seeded(turn)) for turn in range(3)}


class AtLevels(Degradation):
    """A degradation that the literature measures at levels: whole images are validated and evaluated at each."""

    @property
    @abstractmethod
    def validated(self) -> tuple[int, ...]:
        """The levels of validation."""

    @abstractmethod
    def at(self, clean: Tensor, level: float, normal: Normal) -> Batch:
        """Whole images at a level.

        Args:
            clean: [B, C, H, W] in [0, 1].
            level: grey levels of noise, or a scale; what is no multiple of it is cut off below and at the right.
            normal: where noise comes from.
        """

    def validation(self, crops: Patches) -> dict[int, Batch]:
        """All crops at each level."""
        clean = crops.whole

        def normal(level: int) -> Normal:
            return lambda shape: torch.randn(tuple(shape), generator=seeded(level))

        return {level: self.at(clean, level, normal(level)) for level in self.validated}


class OfOnePlane(Degradation):
    """A degradation of colour pictures, of which luma and chroma are restored apart and told levels of their own."""

    @property
    def refusal(self) -> str | None:
        """One plane is made, of any level."""
        fits = self.config.channels == 1 and self.config.noise_map
        return None if fits else "what cameras and files do is for a denoiser of 1 channel with a noise map"

    @property
    def sees(self) -> str:
        """Colours, which end up in the luma too."""
        return "rgb"


def seeded(seed: int) -> torch.Generator:
    """A generator of the CPU."""
    return torch.Generator().manual_seed(seed)
