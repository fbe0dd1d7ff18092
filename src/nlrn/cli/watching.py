"""What ``nlrn denoise`` and ``nlrn upscale`` say while they work: n of N, time left, pixels per second."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import Progress as Bars

from nlrn.batch import Done, Job, Outcome, Watch
from nlrn.cli.progress import bars

if TYPE_CHECKING:
    from nlrn.images import Picture
    from nlrn.inference.tiles import Progress


class ConsoleWatch(Watch):
    """Two bars, for all files and for the one in work, and a line for each finished one.

    The time left is judged by the sizes of the files, which are known before they are read.
    """

    def __init__(self, shown: Bars) -> None:
        self.bars = shown
        self.whole = shown.add_task("images", total=None, visible=False)
        self.piece = shown.add_task("", total=None, visible=False)
        self.current = ""

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Job]) -> None:
        self.count, self.done, self.pixels = len(jobs), 0, 0
        self.sizes = {job: job.source.stat().st_size if job.source.exists() else 0 for job in jobs}
        self.bytes, self.bytes_done = sum(self.sizes.values()), 0
        self.begun = time.perf_counter()
        if skipped:
            self._print(f"{len(skipped)} of {len(jobs) + len(skipped)} are there already and are skipped")
        self.bars.update(
            self.whole, total=max(self.bytes, 1), visible=len(jobs) > 1, description=f"images 0/{len(jobs)}"
        )

    def started(self, job: Job, pages: "Sequence[Picture]") -> "Progress":
        height, width = pages[0].pixels.shape[:2]
        several = f", {len(pages)} pages" if len(pages) > 1 else ""
        self.current = f"{job.source.name}: " if self.count > 1 else ""
        self.bars.reset(
            self.piece, total=None, description=f"{job.source.name} {width} x {height}{several}", visible=True
        )
        return lambda done, total: self.bars.update(self.piece, completed=done, total=total)

    def finished(self, done: Done) -> None:
        self.done += 1
        self.pixels += done.pixels
        self.bytes_done += self.sizes[done.job]
        spent = time.perf_counter() - self.begun
        speed = f"{self.pixels / spent / 1e6:.2g} megapixels/s"
        self.bars.update(
            self.whole, completed=self.bytes_done, description=f"images {self.done}/{self.count}, {speed}"
        )
        became = f"{done.job.source} -> {done.job.target}" if done.reason is None else f"{done.job.source} failed"
        if self.count > 1:
            left = spent * (self.bytes - self.bytes_done) / max(self.bytes_done, 1)
            self._print(f"{self.done}/{self.count} {became}  ({speed}, {timedelta(seconds=round(left))} left)")
        elif done.reason is None:
            self._print(became)

    def said(self, job: Job, message: str) -> None:
        self._print(f"{job.source.name}: {message}" if self.count > 1 else message)

    def _print(self, line: str) -> None:
        self.bars.console.print(line, highlight=False, markup=False, soft_wrap=True)


def summary(outcome: Outcome) -> list[str]:
    """The failures, and how it went, for the end of a run over several files."""
    lines = [str(one.reason) for one in outcome.failed]
    total = len(outcome.done) + len(outcome.failed) + len(outcome.skipped)
    if total == 1:
        return lines
    if outcome.failed:
        lines.append(f"{len(outcome.failed)} of {total} images failed")
    if outcome.done:
        line = f"{len(outcome.done)} images, {outcome.pixels / 1e6:.3g} megapixels in {outcome.seconds:.1f} s"
        line += f" ({outcome.pixels / outcome.seconds / 1e6:.2g} megapixels/s)"
        if outcome.waited is not None:
            line += f", of which {outcome.waited:.1f} s waiting for files"
        lines.append(line)
    return lines


@contextmanager
def watching() -> Iterator[ConsoleWatch]:
    """Bars on stderr, with what is logged as lines above them."""
    log = logging.getLogger("nlrn")
    log.setLevel(logging.INFO)
    with bars() as shown:
        watch = ConsoleWatch(shown)
        handler = _Handler(watch)
        log.addHandler(handler)
        try:
            yield watch
        finally:
            log.removeHandler(handler)


class _Handler(logging.Handler):
    """Log messages as lines above the bars, with the file that they are about."""

    def __init__(self, watch: ConsoleWatch) -> None:
        super().__init__()
        self.watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self.watch._print(self.watch.current + record.getMessage())
