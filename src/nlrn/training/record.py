"""The log of a training run, its card, and a clean end when it is told to stop."""

import io
import json
import math
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from torch.utils.tensorboard import SummaryWriter

from nlrn.errors import UsageError
from nlrn.files import remove_parts
from nlrn.models.cards import CARD, TENSORS
from nlrn.training.settings import Settings


class StopSign:
    """The time that a run still has: until it is up or the process is asked to end.

    In its block Ctrl-C, SIGTERM and SIGHUP ask once; a second Ctrl-C ends at once. What is ignored, as SIGHUP below
    nohup, stays so.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.asked: int | None = None
        """By which signal."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSign":
        if threading.current_thread() is threading.main_thread():
            heeded = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
            self._before = {
                one: signal.signal(one, self._ask) for one in heeded if signal.getsignal(one) != signal.SIG_IGN
            }
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def minutes_left(self) -> float:
        """0 or less: it ends here."""
        return 0.0 if self.asked else (self.deadline - time.monotonic()) / 60


class Log:
    """Metrics as JSON lines and for TensorBoard. As long as it is open, no other run writes in its folder.

    Args:
        folder: where they go, or None: only one process of several writes.
        first: the iteration that comes next; what a killed run has written of it and of later ones goes.

    Raises:
        UsageError: another run is at work there.
    """

    def __init__(self, folder: Path | None, first: int = 0) -> None:
        self.started = time.monotonic()
        self.lines = _claimed(folder / "metrics.jsonl", first) if folder else None
        self.board = SummaryWriter(str(folder), purge_step=first + 1) if folder else None
        if folder:
            remove_parts(folder / name for name in ("checkpoint.pt", TENSORS, CARD))

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


def _claimed(path: Path, first: int) -> TextIO:
    """The lines of metrics up to an iteration, open for more, and locked."""
    lines = path.open("a+", buffering=1, encoding="utf-8", errors="replace")
    try:
        with suppress(ImportError):  # Windows
            import fcntl

            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lines.close()
        raise UsageError(f"another run is at work in {path.parent}; wait for it, or give another --out") from None
    except OSError:  # a file system without locks
        pass
    lines.seek(0)
    kept = 0
    for line in iter(lines.readline, ""):
        if not line.endswith("\n") or _iteration(line) > first:
            lines.truncate(kept)
            break
        kept = lines.tell()
    lines.seek(0, io.SEEK_END)
    return lines


def _iteration(line: str) -> float:
    """Of a line of metrics; a line that is none is of none."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def describe(settings: Settings, iteration: int, scores: dict[int, float]) -> dict[str, Any]:
    """The way a model was trained, for its card."""
    said = {n: [str(v) for v in value] if n == "data" else value for n, value in asdict(settings).items()}
    said["out"] = str(settings.out)
    return {"iterations_done": iteration, "validation_psnr": scores, "settings": said}
