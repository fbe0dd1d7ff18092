"""Describes a page's pictures as values that become JSON."""

import time
from dataclasses import asdict
from typing import Any

from nlrn.config import DENOISE
from nlrn.web import results
from nlrn.web.order import Order
from nlrn.web.sessions import Entry, Session, Studio

_SOON = 0.02  # of the work must be done before its own speed tells how long the rest takes


def snapshot(session: Session, studio: Studio) -> dict[str, Any]:
    """All pictures of a page and what becomes of them."""
    return {"pictures": [_picture(entry, studio) for entry in session.entries.values()]}


def _picture(entry: Entry, studio: Studio) -> dict[str, Any]:
    said: dict[str, Any] = {"id": entry.id, "name": entry.name, "bytes": entry.bytes}
    if entry.refused is not None:
        return {**said, "state": "refused", "error": entry.refused}
    if entry.opened is None:
        return {**said, "state": "opening"}
    from nlrn.web import words, work  # they are there: they have opened the picture

    pages = [
        {
            "width": page.picture.pixels.shape[1],
            "height": page.picture.pixels.shape[0],
            "about": words.describe(page),
            "sigma": round(page.sigma, 2),
            "level": round(page.level, 2),
            "serves": studio.loaded().chosen(Order(DENOISE.name), page),
            "nothing": work.why_nothing(page, Order(DENOISE.name)) is not None,
            "found": words.found(page),
            "gray": work.is_gray(page),
        }
        for page in entry.opened.pages
    ]
    said.update(state="ready", pages=pages, work=None, result=None, failed=entry.failed)
    if entry.is_busy():
        said["work"] = _work(entry, studio)
    if entry.result is not None:
        said["result"] = _result(entry.result)
    return said


def _work(entry: Entry, studio: Studio) -> dict[str, Any]:
    job, order = entry.job, entry.wanted
    assert job is not None
    assert order is not None
    share, speed, left = job.share, studio.speed(entry), None
    if entry.started is not None and share > _SOON:
        left = (time.monotonic() - entry.started) * (1 - share) / share
    elif speed is not None:
        ahead = studio.restoring.before(job) if entry.started is None else 0
        left = (ahead + job.left) / speed
    state = "waiting" if entry.started is None else "working"
    return {"state": state, "share": round(share, 4), "left": left, "order": asdict(order)}


def _result(result: results.Result) -> dict[str, Any]:
    return {
        "order": asdict(result.order),
        "pages": [{"width": page.pixels.shape[1], "height": page.pixels.shape[0]} for page in result.pages],
        "seconds": round(result.seconds, 2),
        "notes": result.notes,
        "names": {wanted: result.file_name(wanted) for wanted in ("same", *results.FORMATS)},
        "command": results.command(result),
        "version": result.version,
    }
