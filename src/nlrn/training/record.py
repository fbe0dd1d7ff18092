"""What a training run leaves behind: its log, its checkpoint, and a clean end when it is told to stop."""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from nlrn.config import Config
from nlrn.files import replacing
from nlrn.network import NLRN
from nlrn.training.settings import Settings
from nlrn.training.weights import Average


class StopSign:
    """How long a run may still go on: until its time is up or the process is asked to end (SIGTERM)."""

    def __init__(self, deadline: float) -> None:
        self.deadline, self.asked = deadline, False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def minutes_left(self) -> float:
        """0 or less: it ends here."""
        return 0.0 if self.asked else (self.deadline - time.monotonic()) / 60


class Log:
    """Metrics as JSON lines and for TensorBoard.

    Args:
        folder: where they go, or None: only one process of several writes.
    """

    def __init__(self, folder: Path | None) -> None:
        self.started = time.monotonic()
        self.lines = (folder / "metrics.jsonl").open("a", buffering=1) if folder else None
        self.board = SummaryWriter(str(folder)) if folder else None

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        if self.lines and self.board:
            self.lines.close()
            self.board.close()

    def write(self, iteration: int, **values: float) -> None:
        if not self.lines or not self.board:
            return
        seconds = round(time.monotonic() - self.started, 1)
        self.lines.write(json.dumps({"iteration": iteration, "seconds": seconds, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, iteration)


def describe(settings: Settings, iteration: int, scores: dict[int, float]) -> dict[str, Any]:
    """How a model was trained, for its card."""
    said = {n: [str(v) for v in value] if n == "data" else value for n, value in asdict(settings).items()}
    said["out"] = str(settings.out)
    return {"iterations_done": iteration, "validation_psnr": scores, "settings": said}


def save_checkpoint(
    path: Path,
    config: Config,
    network: NLRN,
    average: Average,
    optimizers: Sequence[torch.optim.Optimizer],
    iteration: int,
    best: float,
    steps: int,
) -> None:
    """Everything that an exact resume needs; written beside and renamed, so that one is always whole."""
    state = {
        "config": asdict(config),
        "network": network.state_dict(),
        "average": average.network.state_dict(),
        "average_count": average.count,
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "iteration": iteration,
        "best": best,
        "steps": steps,
    }
    with replacing(path) as file:
        torch.save(state, file)


def resume(
    path: Path, config: Config, network: NLRN, average: Average, optimizers: Sequence[torch.optim.Optimizer]
) -> tuple[int, float, int]:
    """Put everything back as it was; returns the next iteration, the best validation PSNR and the steps so far.

    Raises:
        ValueError: the checkpoint is of another network.
    """
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["config"] != asdict(config):
        raise ValueError(f"{path} is the checkpoint of another network ({state['config']}); use another --out")
    network.load_state_dict(state["network"])
    average.network.load_state_dict(state["average"])
    average.count = state["average_count"]
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["iteration"]), float(state["best"]), int(state["steps"])
