"""The state of a training run: saved and resumed, and kept in memory to go back to."""

import logging
from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nlrn.network import NLRN
from nlrn.training import checkpoint
from nlrn.training.course import Course
from nlrn.training.settings import Settings
from nlrn.training.weights import Average

_MAY_CHANGE = ("data", "out", "init", "minutes", "cool", "device", "precision", "devices", "machines", "validate")
_log = logging.getLogger("nlrn")
EVERY = 100
"""Iterations between states that are kept in memory."""


class Run:
    """Everything that training changes.

    Args:
        network, average, optimizers: what learns, the moving average of its weights, and what makes it learn.
        steps: recurrent steps that take part at the start.
        settings: by which it goes.
    """

    def __init__(
        self,
        network: NLRN,
        average: Average,
        optimizers: list[torch.optim.Optimizer],
        steps: int,
        settings: Settings,
    ) -> None:
        self.settings = settings
        self.network, self.average, self.optimizers = network, average, optimizers
        self.iteration = 0
        """The next one."""
        self.saved = 0
        """The one that was saved last, or resumed from."""
        self.best = 0.0
        """The best validation PSNR so far, in dB."""
        self.steps = steps
        """Recurrent steps that take part by now."""
        self.course = Course()
        # the newer one may already be on the way off the course
        self._kept: deque[dict[str, Any]] = deque(maxlen=2)

    def keep(self) -> None:
        """Keep the state in memory, to go back to; of two that are kept, to the older one."""
        if len(self._kept) == 2:
            self.course.gets_on()
        self._kept.append(deepcopy(self._weights()))

    def go_back(self) -> None:
        """Go back to the last good state, and on from there at half the rate; iterations are not done again.

        Raises:
            FloatingPointError: it was done too often without getting on.
        """
        self.course.goes_back()
        while len(self._kept) > 1:
            self._kept.pop()
        self._load(deepcopy(self._kept[0]))

    def save(self, path: Path) -> None:
        """Everything that an exact resume needs.

        Raises:
            CheckpointError: it cannot be written.
        """
        state = {
            "config": asdict(self.network.config),
            **self._weights(),
            "iteration": self.iteration,
            "best": self.best,
            "course": self.course.state(),
            "settings": _deciding(self.settings),
        }
        checkpoint.write(path, state)
        self.saved = self.iteration

    def resume(self, path: Path) -> None:
        """Put everything back as it was saved.

        Raises:
            CheckpointError: the checkpoint is damaged, or of another network or run.
        """
        state = checkpoint.read(path, self.network, self.optimizers)
        if state["iteration"] > self.settings.iterations:
            raise checkpoint.CheckpointError(
                f"{path} is of iteration {state['iteration']}, and --iterations is {self.settings.iterations}; "
                "give more of them, or another --out"
            )
        _say_what_changed(path, state.get("settings", {}), self.settings)
        self._load(state)
        self.iteration, self.best = int(state["iteration"]), float(state["best"])
        self.saved = self.iteration
        self.course.load(state["course"])

    def _weights(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "average_count": self.average.count,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "steps": self.steps,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.count = state["average_count"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.steps = int(state["steps"])


def _deciding(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a run comes to, as plain values."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
        if name not in _MAY_CHANGE
    }


def _say_what_changed(path: Path, before: Mapping[str, Any], settings: Settings) -> None:
    changed = [
        f"{name} {before[name]} -> {value}"
        for name, value in _deciding(settings).items()
        if name in before and before[name] != value
    ]
    if changed:
        _log.warning("%s goes on with other settings: %s", path, ", ".join(changed))
