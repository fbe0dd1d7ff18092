"""Work in a thread of its own: the oldest job first, and a small one is let through where a large one pauses."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of pixels done and the number in all; a job that was cancelled ends there."""

_MUCH_SMALLER = 4
"""A job goes first if it is this many times smaller than what is left of the one before it."""


class JobCancelledError(Exception):
    """Nobody wants the result any more."""


class Job(Generic[Result]):
    """Something to do.

    Args:
        size: about how many pixels it computes.
        work: does it; calls what it is given wherever it may pause or end.
        told: called, in the thread of the lane, when it begins and whenever it got on.
    """

    def __init__(self, size: int, work: Callable[[Progress], Result], told: Callable[[], None] | None = None) -> None:
        self.size = size
        self.share = 0.0
        """The part of it that is done, from 0 to 1."""
        self.result: Future[Result] = Future()
        self._work = work
        self._told = told
        self._cancelled = threading.Event()

    @property
    def left(self) -> float:
        """About how many pixels are still to be computed."""
        return self.size * (1 - self.share)

    def cancel(self) -> None:
        """Not begun, it never begins; at work, it ends at its next pause. Its result is then cancelled."""
        self._cancelled.set()
        self.result.cancel()

    def run(self, pause: Callable[["Job[Any]"], None]) -> None:
        """Do it; ``pause`` is called wherever something else may be done in between."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            self._tell()
            value = self._work(partial(self._got_on, pause))
            self._tell()
        except BaseException as error:  # belongs to whoever waits for the result
            self.result.set_exception(error)
        else:
            self.result.set_result(value)

    def _got_on(self, pause: Callable[["Job[Any]"], None], done: int, total: int) -> None:
        self.share = done / total
        self._tell()
        pause(self)
        self._tell()

    def _tell(self) -> None:
        if self._cancelled.is_set():
            raise JobCancelledError
        if self._told:
            self._told()


class Lane:
    """A thread that does jobs.

    Args:
        name: of the thread.
        lets_through: whether a job may pause for a much smaller one; what they work with must allow it.
    """

    def __init__(self, name: str, *, lets_through: bool = False) -> None:
        self._lets_through = lets_through
        self._waiting: list[Job[Any]] = []
        self._changed = threading.Condition()
        self._at_work: list[Job[Any]] = []  # the last is running, those before it pause
        self._closed = False
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def add(self, job: Job[Any]) -> None:
        """Have a job done when its turn comes."""
        with self._changed:
            if self._closed:
                job.cancel()
                return
            self._waiting.append(job)
            self._changed.notify_all()

    def before(self, job: Job[Any]) -> float:
        """About how many pixels are computed before a waiting job begins."""
        with self._changed:
            ahead = self._waiting[: self._waiting.index(job)] if job in self._waiting else []
            return sum(other.left for other in (*self._at_work, *ahead) if job.size * _MUCH_SMALLER >= other.left)

    def close(self, patience: float) -> bool:
        """Cancel everything and wait so many seconds at most for the job at work to pause; whether it did."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._at_work):
                job.cancel()
            self._changed.notify_all()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _live(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._waiting:
                    self._changed.wait()
                if self._closed:
                    return
            while job := self._take():
                self._do(job)

    def _take(self, below: float = float("inf")) -> Job[Any] | None:
        """The next job, if it is much smaller than that."""
        with self._changed:
            self._waiting = [job for job in self._waiting if not job.result.cancelled()]
            eligible = [job for job in self._waiting if job.size * _MUCH_SMALLER < below]
            if not eligible or self._closed:
                return None
            first = eligible[0]
            chosen = next((job for job in eligible if job.size * _MUCH_SMALLER < first.size), first)
            self._waiting.remove(chosen)
            return chosen

    def _do(self, job: Job[Any]) -> None:
        with self._changed:
            self._at_work.append(job)
        job.run(self._pause)
        with self._changed:
            self._at_work.remove(job)

    def _pause(self, job: Job[Any]) -> None:
        while self._lets_through and (other := self._take(below=job.left)):
            self._do(other)
