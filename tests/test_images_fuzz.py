"""A few hundred damaged files of every format, always the same: read or refused, in time, and nothing else.

scripts/fuzz_images.py opens as many as one likes.
"""

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pytest
from damaged_images import case, open_one, whole_files

COUNT = 600
GROUPS = 6


@pytest.fixture
def in_time() -> Iterator[None]:
    """A minute for a group that takes two or three seconds."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt("a file hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no alarm clock")
def test_whole_files_are_read(in_time: None) -> None:
    assert {open_one(*file) for file in whole_files()} <= {"read", "read, not written again"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no alarm clock")
@pytest.mark.parametrize("group", range(GROUPS))
def test_damaged_files_are_read_or_refused(in_time: None, group: int) -> None:
    files = whole_files()
    numbers = range(group * COUNT // GROUPS, (group + 1) * COUNT // GROUPS)
    wrong = {number: open_one(*case(files, 0, number)) for number in numbers}
    assert {n: what for n, what in wrong.items() if what not in ("read", "refused", "read, not written again")} == {}
