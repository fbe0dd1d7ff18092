"""A whole file restored for the page, page by page, with what is to be known of it."""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nlrn.web import work
from nlrn.web.jobs import Progress
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError
from nlrn.web.results import Result

_log = logging.getLogger("nlrn.web")


def restored_file(opened: work.Opened, order: Order, models: work.Models, place: Path, progress: Progress) -> Result:
    """All pages of a file restored; their pixels are kept in files of ``place``.

    Args:
        progress: called with what is done of all pages, between pieces and between pages.

    Raises:
        RefusedError: the order cannot be carried out.
    """
    started, done, total = time.perf_counter(), 0, opened.pixels
    pages, notes, made = [], [], []
    for number, page in enumerate(opened.pages):
        height, width = page.picture.pixels.shape[:2]
        reason = work.why_nothing(page, order)
        if reason is not None:
            notes.append(reason if len(opened.pages) == 1 else f"Page {number + 1}: {reason}")
            pages.append(page.picture)
        else:
            restored = work.restore(page, order, models, _part_of(progress, done, height * width, total))
            made.append(place / f"restored-{secrets.token_hex(4)}.npy")
            kept = work.keep(restored, made[-1])
            pages.append(replace(page.picture, pixels=kept))
        done += height * width
        progress(done, total)
    return Result(opened.path, order, pages, time.perf_counter() - started, notes, made)


def sentence_of(name: str, error: BaseException) -> str:
    """The sentence that a person is told of an error in the work."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"{name} does not fit into memory: close other programs, or cut it into parts."
    if isinstance(error, OSError) and error.strerror:
        return f"{name} cannot be kept ({error.strerror}): make room on this machine."
    _log.error("restoring %s", name, exc_info=error)
    return f"{name}: {type(error).__name__}, an error of nlrn: please report it with what the terminal says."


def _part_of(progress: Progress, done: int, part: int, total: int) -> Callable[[int, int], None]:
    return lambda now, all_of_it: progress(done + part * now // all_of_it, total)
