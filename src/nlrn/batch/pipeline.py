"""Reading, restoring and writing at the same time, so that the processor does not wait for the disk."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

_MOST_ENTRIES, _MOST_BYTES = 4, 2**28
"""What waits between two stages; a larger image waits alone, so that large ones do not pile up in memory."""
_LOOK_UP_SECONDS = 1.0

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Made = TypeVar("Made")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Timing:
    """The time it took."""

    seconds: float
    waited: float
    """Seconds of them in which the middle stage stood still: for the first image, a slow disk, or a full one."""


def overlapped(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Loaded],
    work: Callable[[Item, Loaded], Made],
    write: Callable[[Item, Made], None],
    finished: Callable[[Item, Made | Exception], None],
    size: Callable[[Loaded | Made], int],
) -> Timing:
    """Pass every item through three stages, each in a thread of its own; ``work`` runs in the calling one.

    An item that fails at any stage is reported and stops no other. At KeyboardInterrupt nothing more is begun,
    what is made already is written, and it is raised again.

    Args:
        items: in the order in which they are done and reported.
        read, work, write: the stages.
        finished: told of each item what was made of it or what went wrong; called in the thread that writes.
        size: bytes of what is passed on.
    """
    loaded: _Shelf[tuple[Item, Loaded | Exception]] = _Shelf()
    made: _Shelf[tuple[Item, Made | Exception]] = _Shelf()
    broken: list[BaseException] = []

    def reading() -> None:
        for item in items:
            loaded.wait_for_room()
            if loaded.closed:
                break
            try:
                value = read(item)
            except Exception as error:  # whatever is wrong with this one, the next may be right
                loaded.put((item, error), 0)
            else:
                loaded.put((item, value), size(value))
        loaded.close()

    def writing() -> None:
        while (entry := made.get()) is not None:
            item, value = entry
            if not isinstance(value, Exception):
                try:
                    write(item, value)
                except Exception as error:
                    value = error
            finished(item, value)

    def guarded(stage: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                stage()
            except BaseException as error:  # what cannot be laid to an item must not leave the others waiting
                broken.append(error)
                loaded.close()
                made.close()

        thread = threading.Thread(target=run, name=stage.__name__, daemon=True)
        thread.start()
        return thread

    started = time.perf_counter()
    threads = [guarded(reading), guarded(writing)]
    waited = 0.0
    try:
        while True:
            before = time.perf_counter()
            made.wait_for_room()
            entry = loaded.get()
            waited += time.perf_counter() - before
            if entry is None or broken:
                break
            item, value = entry
            if isinstance(value, Exception):
                made.put((item, value), 0)
                continue
            try:
                result = work(item, value)
            except Exception as error:
                made.put((item, error), 0)
            else:
                made.put((item, result), size(result))
    finally:
        loaded.close()
        made.close()
        for thread in threads:
            thread.join()
    if broken:
        raise broken[0]
    return Timing(time.perf_counter() - started, waited)


class _Shelf(Generic[Entry]):
    """The results that one thread has ready for the next."""

    def __init__(self) -> None:
        self.closed = False
        self._entries: deque[tuple[Entry, int]] = deque()
        self._changed = threading.Condition()

    def wait_for_room(self) -> None:
        """Return when so little waits that more may be made, or when the shelf is closed."""
        with self._changed:
            while not self.closed and (
                len(self._entries) >= _MOST_ENTRIES or sum(size for _, size in self._entries) >= _MOST_BYTES
            ):
                self._changed.wait(_LOOK_UP_SECONDS)  # on Windows a wait without end cannot be interrupted

    def put(self, entry: Entry, size: int) -> None:
        with self._changed:
            self._entries.append((entry, size))
            self._changed.notify_all()

    def get(self) -> Entry | None:
        """The next entry; None when there is none and the shelf is closed."""
        with self._changed:
            while not self._entries and not self.closed:
                self._changed.wait(_LOOK_UP_SECONDS)
            entry = self._entries.popleft()[0] if self._entries else None
            self._changed.notify_all()
            return entry

    def close(self) -> None:
        """Nothing more comes; what is there can still be taken."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
