"""Writes to a terminal: what is lost does not end the work, and names cannot give it commands."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


def printable(text: str) -> str:
    """Text for a line on a terminal, with what is no character of a line shown escaped.

    >>> printable("a" + chr(27) + "[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def say(sentence: str) -> None:
    """One line on standard error."""
    print(f"nlrn: {printable(sentence)}", file=sys.stderr)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Standard error, and standard output where its reader left, may be lost in the block; what is said goes nowhere.

    A full disc behind standard output stays an error.
    """
    _occupy_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Lasting(before[0], BrokenPipeError), _Lasting(before[1], OSError)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


class _Lasting:
    """A stream that is silent once it is lost."""

    def __init__(self, stream: TextIO | None, lost: type[OSError]) -> None:
        self._stream: TextIO = stream if stream is not None else io.StringIO()
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._losing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._losing():
            self._stream.flush()

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):  # what is still in its buffer must not fail at the end
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            self._stream = io.StringIO()
            if not isinstance(error, self._lost):
                raise


def _occupy_closed() -> None:
    """Open the null device for standard streams that are closed, so that no picture gets their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
