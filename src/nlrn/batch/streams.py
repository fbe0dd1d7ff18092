"""Pictures that come through a pipe or go into one: ``-``, named pipes, process substitution of a shell."""

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.images import SUFFIXES, WRITABLE, ImageFileError, check_writable

if TYPE_CHECKING:
    from nlrn.batch.job import Job
    from nlrn.images import Picture

DASH = "-"
STDIN, STDOUT = Path("/dev/stdin"), Path("/dev/stdout")
"""What ``-`` stands for among inputs and as the output; the names serve on every system."""


def is_stream(path: Path) -> bool:
    """Whether a name stands for something that bytes flow through, and not for a file or a place for one."""
    if path in (STDIN, STDOUT):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def read_stdin() -> bytes:
    """All that comes through standard input.

    Raises:
        ImageFileError: it is a terminal.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageFileError("standard input is a terminal: pipe a picture into it.")
    return sys.stdin.buffer.read()


def name_of(job: "Job", pages: "Sequence[Picture]") -> Path:
    """The output's name where its ending decides the format; of a pipe it is the format of the input."""
    if not is_stream(job.target):
        return job.target
    if job.ending:
        return Path(f"{job.target}{job.ending}")
    kind = pages[0].metadata.format
    names = [Path(f"{job.target}{ending}") for ending in WRITABLE if SUFFIXES[ending] == kind]
    return next((name for name in names if _holds(name, pages)), Path(f"{job.target}.png"))


def _holds(name: Path, pages: "Sequence[Picture]") -> bool:
    try:
        check_writable(name, pages)
    except ImageFileError:
        return False
    return True


def write(target: Path, data: bytes) -> None:
    """Send a picture into a pipe.

    Raises:
        ImageFileError: it leads to a terminal, or nobody takes it.
    """
    try:
        if target == STDOUT:
            if sys.stdout.isatty():
                raise ImageFileError("standard output is a terminal: send it into a file or a program.")
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            with open(os.open(target, os.O_WRONLY), "wb") as pipe:
                pipe.write(data)
    except OSError as error:
        raise ImageFileError(f"{target} did not take the picture ({error.strerror}): give a file.") from error
