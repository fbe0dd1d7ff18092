"""Reading, restoring and writing overlap, in bounded memory, and nothing that fails stops the rest."""

import threading
import time

import pytest

from nlrn import pipeline
from nlrn.pipeline import overlapped


def test_slow_disks_are_hidden_behind_the_work() -> None:
    """One after another this would take 10 x 0.15 s; side by side the longest stage decides."""
    written: list[int] = []
    timing = overlapped(
        range(10),
        read=lambda n: time.sleep(0.04) or n,
        work=lambda n, value: time.sleep(0.06) or value * value,
        write=lambda n, value: time.sleep(0.05) or written.append(value),
        finished=lambda n, value: None,
        size=lambda value: 1,
    )
    assert written == [n * n for n in range(10)]
    assert timing.seconds < 1.2
    assert timing.waited < 0.25  # the first image, and what the machine does besides


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
