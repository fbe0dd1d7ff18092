"""What a training run says of itself: its log, its card, and a clean end when it is told to stop."""

import json
import signal
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from nlrn.training.settings import Settings


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
