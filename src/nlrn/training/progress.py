"""The progress bar of a training run."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class TrainingBar:
    """Iterations done, loss, validation PSNR, pixels per second, time left."""

    def __init__(self, progress: Progress, total: int, first: int) -> None:
        self.progress = progress
        self.task = progress.add_task("training", total=total, completed=first, said="")
        self.loss, self.psnr, self.pixels = 0.0, 0.0, 0.0

    def update(
        self,
        iteration: int,
        *,
        loss: float | None = None,
        psnr: float | None = None,
        pixels: float | None = None,
    ) -> None:
        self.loss = self.loss if loss is None else loss
        self.psnr = self.psnr if psnr is None else psnr
        self.pixels = self.pixels if pixels is None else pixels
        said = f"loss {self.loss:.4f}  {self.pixels / 1000:.0f}k pixels/s"
        said += f"  PSNR {self.psnr:.2f} dB" if self.psnr else ""
        self.progress.update(self.task, completed=iteration, said=said)

    def say(self, sentence: str) -> None:
        """A line of its own, above the bar."""
        self.progress.console.print(sentence, soft_wrap=True)


@contextmanager
def training_bar(total: int, first: int, *, show: bool) -> Iterator[TrainingBar]:
    """A bar on stderr, refreshed rarely where stderr is a file."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not show, refresh_per_second=2) as progress:
        yield TrainingBar(progress, total, first)
