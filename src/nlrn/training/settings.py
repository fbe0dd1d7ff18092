"""The settings of a training run, and the schedule of what changes while it goes."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.config import TASKS, Config
from nlrn.pixels.degradations import DEGRADATIONS, degradation

if TYPE_CHECKING:
    from nlrn.pixels.degradations.record import Degradation

LOSSES = ("squared", "charbonnier")


def _names() -> list[str]:
    return [name for names in DEGRADATIONS.values() for name in names]


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a training run goes; each field is a flag of ``nlrn train``."""

    data: tuple[Path, ...]
    """Folders of training images, searched recursively."""
    out: Path
    """Where the checkpoint, the best weights and the metrics go; a checkpoint found there is resumed."""
    init: str | None = None
    """Start from the weights of this model (a name or a file) where their shapes fit."""
    noise: str = field(default="white", metadata={"choices": _names()})
    """How images are degraded: "white" noise, or for super-resolution "bicubic" reduction, which stands for "white"
    there; "photo": all that cameras and files do to the luma of a picture, "jpeg": what JPEG does to its luma, and
    to chroma at half the resolution, both for a network of 1 channel with a noise map."""
    sigmas: tuple[float, float] = (5.0, 55.0)
    """Denoising: range of the noise level, on the 0-255 scale; without a noise map, twice the same number."""
    scales: tuple[int, ...] = (2, 3, 4)
    """Super-resolution: the factors, mixed in every batch, or in turn where the network itself enlarges."""
    smaller: tuple[float, ...] = ()
    """Copies of the training images, reduced by these factors, are trained on too: they are sharper."""
    loss: str = "squared"
    """The error that is made small: "squared", or "charbonnier" (nearly the absolute one)."""
    iterations: int = 10_000
    """Length of the whole run in optimizer steps."""
    fall: float = 1.0
    """Last part of the run over which the learning rate falls to nearly zero; it is constant before, so that a run
    can be gone on with from there."""
    minutes: float = 1e9
    """Stop cleanly, with everything saved, after so many minutes."""
    cool: float = 0.0
    """Last of the ``minutes`` in which the learning rate falls to nearly zero at whatever iteration it is, so that a
    run that ends by the clock ends as well as one that comes through."""
    batch: int = 16
    """Patches in a batch, over all processes."""
    patch: int = 40
    """Side of a patch in pixels of what the network is given, at the end of the run."""
    patch_from: int = 0
    """Side of a patch at the start, if smaller; patches grow until ``grown``."""
    steps_from: int = 0
    """Recurrent steps at the start, if fewer than the network's; they grow until ``grown``."""
    grown: float = 0.6
    """Part of the run after which patches and steps have grown to their full size."""
    rate: float = 4e-3
    """Peak learning rate of Muon; AdamW's, for what is no kernel, is half of it."""
    warmup: int = 200
    """Iterations over which the learning rate rises to its peak."""
    clip: float = 5.0
    """Largest norm of the gradient of all parameters."""
    decay: float = 0.999
    """How much of the moving average of the weights each iteration keeps."""
    freeze: float = 1.0
    """Last part of the run in which the norms keep to fixed statistics, as at inference; those of patches of mixed
    noise are too unlike, so 1, from the first iteration on, learns best. Below 1 where ``steps_from`` adds steps."""
    seed: int = 0
    """Seed of everything random."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "auto"
    """auto, fp32 or bf16 (mixed: the weights stay fp32)."""
    devices: int = 1
    """Processes per machine, one for each GPU."""
    machines: int = 1
    """Machines, each started through Fabric's launcher (``fabric run``)."""
    validate: int = 500
    """Iterations between validations, each followed by a checkpoint."""
    held_out: int = 8
    """Training images set aside for validation."""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}, not {self.loss!r}")
        if self.noise not in _names():
            raise ValueError(f"noise must be one of {_names()}, not {self.noise!r}")

    def degradation(self, config: Config) -> "Degradation":
        """The degradation of the images, for a network of that configuration.

        Raises:
            ValueError: its task has no such degradation, or the network is not one for it.
        """
        levels = {"sigma": self.sigmas, "scale": self.scales}[TASKS[config.task].level]
        return degradation(config, levels, None if self.noise == Settings.noise else self.noise)


class Schedule:
    """The learning rate, steps and patches of each iteration.

    Raises:
        ValueError: steps would join a network of several groups.
    """

    def __init__(self, settings: Settings, config: Config) -> None:
        self.s, self.full_steps = settings, config.steps
        if settings.steps_from and config.groups > 1:
            raise ValueError(
                "steps_from is for a network of one group: which group a step is in depends on their number"
            )

    def rate(self, i: int, minutes_left: float = math.inf) -> float:
        """The learning rate, relative to its peak."""
        rise = min(1.0, (i + 1) / max(1, self.s.warmup))
        fallen = 1 - (self.s.iterations - i) / max(1.0, self.s.fall * self.s.iterations)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, fallen))))
        if minutes_left < self.s.cool:
            fall *= max(0.0, minutes_left) / self.s.cool
        return rise * (0.01 + 0.99 * fall)

    def steps(self, i: int) -> int:
        return self._grow(i, self.s.steps_from, self.full_steps)

    def patch(self, i: int) -> int:
        return self._grow(i, self.s.patch_from, self.s.patch)

    def frozen(self, i: int) -> bool:
        return i >= (1 - self.s.freeze) * self.s.iterations

    def _grow(self, i: int, first: int, last: int) -> int:
        if not 0 < first < last:
            return last
        return min(last, first + int((last - first + 1) * i / (self.s.grown * self.s.iterations)))
