"""Progress of ``nlrn denoise`` and ``nlrn upscale``: n of N, time left, pixels per second."""

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from nlrn.batch import Done, Job, Outcome, Watch
from nlrn.cli.saying import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from nlrn.images import Picture
    from nlrn.inference.tiles import Progress


class Lines(Watch):
    """A line for each finished file. The time left is judged by the sizes of the files.

    Args:
        quiet: say nothing of what goes well.
        as_json: print a line of JSON for each that is done.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.current = ""
        self.count = self.done = self.failed = self.pixels = 0

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Job]) -> None:
        self.count = len(jobs)
        self.sizes = {job: job.source.stat().st_size if job.source.is_file() else 0 for job in jobs}
        self.bytes, self.bytes_done = sum(self.sizes.values()), 0
        self.begun = self.paced = time.perf_counter()
        self.bytes_before = 0
        if skipped and not self.quiet:
            self.print(f"{len(skipped)} of {len(jobs) + len(skipped)} are there already and are skipped")

    def started(self, job: Job, pages: "Sequence[Picture]") -> "Progress":
        self.current = f"{job.source.name}: " if self.count > 1 else ""
        return lambda done, total: None

    def finished(self, done: Done) -> None:
        self.done += 1
        self.failed += done.reason is not None
        self.pixels += done.pixels
        self.bytes_done += self.sizes[done.job]
        if self.done == 1:  # it paid for the start too: what comes after it tells the pace
            self.paced, self.bytes_before = time.perf_counter(), self.bytes_done
        if self.as_json and done.reason is None:
            print(json_line(done), flush=True)
        if self.quiet:
            return
        became = f"{done.job.source} -> {done.job.target}" if done.reason is None else f"{done.job.source} failed"
        if self.count > 1:
            left = self._left()
            told = "" if left is None else f", {timedelta(seconds=round(left))} left"
            self.print(f"{self.done}/{self.count} {became}  ({self.speed()}{told})")
        elif done.reason is None:
            self.print(became)

    def said(self, job: Job, message: str) -> None:
        if not self.quiet:
            self.print(f"{job.source.name}: {message}" if self.count > 1 else message)

    def speed(self) -> str:
        spent = time.perf_counter() - self.begun
        return f"{self.pixels / spent / 1e6:.2g} megapixels/s"

    def print(self, line: str) -> None:
        print(printable(line), file=sys.stderr)

    def stopped(self) -> str:
        """The number of files done, at an early end."""
        return (
            f"{self.done - self.failed} of {self.count} images are done and whole; --skip-existing goes on from them"
        )

    def _left(self) -> float | None:
        """Seconds, once more than one file tells."""
        told = self.bytes_done - self.bytes_before
        if self.bytes_done == self.bytes:
            return 0.0
        return (time.perf_counter() - self.paced) * (self.bytes - self.bytes_done) / told if told else None


class BarsToo(Lines):
    """The same with two bars on the terminal, for all files and for the one in work."""

    def __init__(self, shown: "Bars", as_json: bool) -> None:
        super().__init__(as_json=as_json)
        self.bars = shown
        self.whole = shown.add_task("images", total=None, visible=False)
        self.piece = shown.add_task("", total=None, visible=False)

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Job]) -> None:
        super().planned(jobs, skipped)
        self.bars.update(
            self.whole, total=max(self.bytes, 1), visible=len(jobs) > 1, description=f"images 0/{len(jobs)}"
        )

    def started(self, job: Job, pages: "Sequence[Picture]") -> "Progress":
        super().started(job, pages)
        height, width = pages[0].pixels.shape[:2]
        several = f", {len(pages)} pages" if len(pages) > 1 else ""
        self.bars.reset(
            self.piece,
            total=None,
            description=printable(f"{job.source.name} {width} x {height}{several}"),
            visible=True,
        )
        return lambda done, total: self.bars.update(self.piece, completed=done, total=total)

    def finished(self, done: Done) -> None:
        super().finished(done)
        self.bars.update(
            self.whole, completed=self.bytes_done, description=f"images {self.done}/{self.count}, {self.speed()}"
        )

    def print(self, line: str) -> None:
        self.bars.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def json_line(done: Done) -> str:
    """A picture and its result, for other programs."""
    failed = done.reason is not None
    return json.dumps(
        {
            "file": str(done.job.source),
            "level": None if done.level is None else round(done.level, 3),
            "model": done.model,
            "seconds": round(done.seconds, 3),
            "output": None if failed else str(done.job.target),
            "error": done.reason,
        }
    )


def summary(outcome: Outcome, *, quiet: bool = False) -> list[str]:
    """The failures, and how it went, for the end of a run over several files."""
    lines = [str(one.reason) for one in outcome.failed]
    total = len(outcome.done) + len(outcome.failed) + len(outcome.skipped)
    if total == 1 or quiet:
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
def watching(*, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> Iterator[Lines]:
    """Messages and logs as lines on stderr; above bars where it is a terminal."""
    log, level = logging.getLogger("nlrn"), logging.getLogger("nlrn").level
    log.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    with _watch(quiet, as_json) as watch:
        handler = _Handler(watch)
        log.addHandler(handler)
        try:
            yield watch
        finally:
            log.removeHandler(handler)
            log.setLevel(level)


@contextmanager
def _watch(quiet: bool, as_json: bool) -> Iterator[Lines]:
    if quiet or not sys.stderr.isatty():
        yield Lines(quiet, as_json)
        return
    from nlrn.cli.progress import bars

    with bars() as shown:
        yield BarsToo(shown, as_json)


class _Handler(logging.Handler):
    """Log messages as lines above the bars, with the file that they are about."""

    def __init__(self, watch: Lines) -> None:
        super().__init__()
        self.watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self.watch.print(self.watch.current + record.getMessage())
        if record.exc_info:
            for line in logging.Formatter().formatException(record.exc_info).splitlines():
                self.watch.print(line)
