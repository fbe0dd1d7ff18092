"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is made is written, and what is done is said."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_NAMES = ("SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """The process was asked to end by this signal; what else there is to say of it."""

    def __init__(self, number: int, *said: str) -> None:
        super().__init__(*said)
        self.number = number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Around a command. Signals that are ignored, as below nohup, stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {one: signal.getsignal(one) for one in heeded if signal.getsignal(one) == signal.SIG_DFL}

    def stop(number: int, frame: FrameType | None) -> None:
        for one in before:  # a terminal that closes may tell it twice
            signal.signal(one, signal.SIG_IGN)
        raise Stopped(number)

    for one in before:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
