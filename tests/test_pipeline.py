"""Reading, restoring and writing overlap, in bounded memory, and nothing that fails stops the rest."""

import threading
import time

import pytest

from nlrn.batch import pipeline
from nlrn.batch.pipeline import overlapped


def test_the_next_is_read_and_the_last_is_written_while_one_is_in_work() -> None:
    """Each stage waits for what can only happen if the others run meanwhile."""
    count = 6
    was_read = [threading.Event() for _ in range(count)]
    was_begun = [threading.Event() for _ in range(count)]
    together: list[bool] = []

    def work(n: int, value: int) -> int:
        was_begun[n].set()
        if n + 1 < count:
            together.append(was_read[n + 1].wait(20))
        return value * value

    def write(n: int, value: int) -> None:
        if n + 1 < count:
            together.append(was_begun[n + 1].wait(20))
        written.append(value)

    written: list[int] = []
    timing = overlapped(
        range(count),
        read=lambda n: was_read[n].set() or n,
        work=work,
        write=write,
        finished=lambda n, value: None,
        size=lambda value: 1,
    )
    assert together == [True] * 2 * (count - 1)
    assert written == [n * n for n in range(count)]
    assert 0 <= timing.waited <= timing.seconds


def test_the_time_of_waiting_is_that_of_a_slow_disk() -> None:
    def timing(seconds: float) -> pipeline.Timing:
        return overlapped(
            range(4),
            read=lambda n: time.sleep(seconds),
            work=lambda n, value: time.sleep(0.03),
            write=lambda n, value: None,
            finished=lambda n, value: None,
            size=lambda value: 1,
        )

    assert timing(0.15).waited > 0.4
    assert timing(0.0).waited < 0.4


def test_each_failure_is_reported_at_its_place() -> None:
    reported: list[tuple[int, str]] = []

    def fails_at(bad: int, stage: str):
        def run(n: int, *value: int) -> int:
            if n == bad:
                raise RuntimeError(stage)
            return n

        return run

    overlapped(
        range(5),
        read=fails_at(1, "read"),
        work=fails_at(2, "work"),
        write=fails_at(3, "write"),
        finished=lambda n, value: reported.append((n, str(value))),
        size=lambda value: 1,
    )
    assert reported == [(0, "0"), (1, "read"), (2, "work"), (3, "write"), (4, "4")]


@pytest.mark.parametrize(("size", "most"), [(1, 4), (pipeline._MOST_BYTES, 1)])
def test_what_waits_is_bounded(size: int, most: int) -> None:
    """In number and, for large images, in bytes: beside the waiting one more is being read."""
    read: list[int] = []
    ahead: list[int] = []

    def work(n: int, value: int) -> int:
        time.sleep(0.02)
        ahead.append(len(read) - n - 1)
        return value

    overlapped(
        range(12),
        read=lambda n: read.append(n) or n,
        work=work,
        write=lambda n, value: None,
        finished=lambda n, value: None,
        size=lambda value: size,
    )
    assert 1 <= max(ahead) <= most


def test_an_interrupt_writes_what_is_made_and_begins_nothing_more() -> None:
    written: list[int] = []
    begun: list[int] = []

    def work(n: int, value: int) -> int:
        begun.append(n)
        if n == 3:
            raise KeyboardInterrupt
        return value

    with pytest.raises(KeyboardInterrupt):
        overlapped(
            range(100),
            read=lambda n: n,
            work=work,
            write=lambda n, value: time.sleep(0.02) or written.append(n),
            finished=lambda n, value: None,
            size=lambda value: 1,
        )
    assert written == [0, 1, 2]
    assert begun == [0, 1, 2, 3]
    assert not [thread for thread in threading.enumerate() if thread.name in ("reading", "writing")]


def test_an_error_that_belongs_to_no_item_is_raised_and_not_waited_for() -> None:
    def finished(n: int, value: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        overlapped(
            range(100),
            read=lambda n: n,
            work=lambda n, value: value,
            write=lambda n, value: None,
            finished=finished,
            size=lambda value: 1,
        )
