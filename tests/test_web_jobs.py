"""The queue of the page: turns, cancelling, and small jobs that do not wait for large ones."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from nlrn.web.jobs import Job, JobCancelledError, Lane, Progress


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test", lets_through=True)
    yield lane
    assert lane.close(patience=10)


class Steps:
    """A job of three steps, each of which it is let do."""

    def __init__(self, size: int, done: list[str], name: str) -> None:
        self.may = threading.Semaphore(0)
        self.begun = threading.Event()
        self._done, self._name = done, name
        self.job: Job[str] = Job(size, self._work)

    def _work(self, progress: Progress) -> str:
        self.begun.set()
        for step in range(3):
            assert self.may.acquire(timeout=10)
            self._done.append(f"{self._name}{step}")
            progress(step + 1, 3)
        return self._name

    def let(self, steps: int = 3) -> "Steps":
        self.may.release(steps)
        return self


def test_jobs_are_done_in_the_order_in_which_they_came(lane: Lane) -> None:
    done: list[str] = []
    jobs = [Steps(100 + i, done, name).let() for i, name in enumerate("abc")]
    for one in jobs:
        lane.add(one.job)
    assert [one.job.result.result(10) for one in jobs] == ["a", "b", "c"]
    assert done == [f"{name}{step}" for name in "abc" for step in range(3)]


def test_a_small_job_does_not_wait_for_a_large_one(lane: Lane) -> None:
    done: list[str] = []
    large, small, middling = Steps(1000, done, "l"), Steps(10, done, "s").let(), Steps(900, done, "m").let()
    lane.add(large.job)
    assert large.begun.wait(10)
    lane.add(middling.job)
    lane.add(small.job)
    large.let()
    assert middling.job.result.result(10) == "m"
    assert done == ["l0", "s0", "s1", "s2", "l1", "l2", "m0", "m1", "m2"]


def test_a_small_job_waits_where_jobs_may_not_pause() -> None:
    lane = Lane("test")
    done: list[str] = []
    large, small = Steps(1000, done, "l"), Steps(10, done, "s").let()
    lane.add(large.job)
    assert large.begun.wait(10)
    lane.add(small.job)
    large.let()
    assert small.job.result.result(10) == "s"
    assert done == ["l0", "l1", "l2", "s0", "s1", "s2"]
    assert lane.close(patience=10)


def test_of_those_that_wait_a_small_one_goes_before_a_large_one(lane: Lane) -> None:
    done: list[str] = []
    first = Steps(10, done, "f")
    lane.add(first.job)
    assert first.begun.wait(10)
    large, small = Steps(1000, done, "l").let(), Steps(10, done, "s").let()
    lane.add(large.job)
    lane.add(small.job)
    assert lane.before(large.job) > 0
    first.let()
    assert large.job.result.result(10) == "l"
    assert done.index("s0") < done.index("l0")


def test_a_job_that_is_cancelled_while_it_waits_never_begins(lane: Lane) -> None:
    done: list[str] = []
    first, second = Steps(10, done, "a"), Steps(10, done, "b").let()
    lane.add(first.job)
    assert first.begun.wait(10)
    lane.add(second.job)
    second.job.cancel()
    first.let()
    assert first.job.result.result(10) == "a"
    with pytest.raises(CancelledError):
        second.job.result.result(10)
    assert not second.begun.is_set()


def test_a_job_that_is_cancelled_at_work_ends_at_its_next_step(lane: Lane) -> None:
    done: list[str] = []
    job = Steps(10, done, "a")
    lane.add(job.job)
    assert job.begun.wait(10)
    job.job.cancel()
    job.let()
    with pytest.raises(JobCancelledError):
        job.job.result.result(10)
    assert done == ["a0"]


def test_an_error_in_one_job_stops_no_other(lane: Lane) -> None:
    def broken(progress: Progress) -> None:
        raise ValueError("broken")

    done: list[str] = []
    bad, good = Job(1, broken), Steps(1, done, "g").let()
    lane.add(bad)
    lane.add(good.job)
    with pytest.raises(ValueError, match="broken"):
        bad.result.result(10)
    assert good.job.result.result(10) == "g"


def test_a_closed_queue_cancels_all_and_takes_nothing_more() -> None:
    lane = Lane("test")
    done: list[str] = []
    at_work, waiting, late = Steps(10, done, "a"), Steps(10, done, "b"), Steps(10, done, "c")
    lane.add(at_work.job)
    assert at_work.begun.wait(10)
    lane.add(waiting.job)
    at_work.let()
    lane.close(patience=10)
    lane.add(late.job)
    assert waiting.job.result.cancelled()
    assert late.job.result.cancelled()


def test_it_tells_how_much_is_done(lane: Lane) -> None:
    shares = []
    job: Job[None] = Job(
        10, lambda progress: [progress(i, 4) for i in range(5)] and None, lambda: shares.append(job.share)
    )
    lane.add(job)
    job.result.result(10)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert job.left == 0
