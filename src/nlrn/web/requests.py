"""Reads requests with care: whoever sends one may send anything."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from nlrn.web.order import whole_number
from nlrn.web.refused import RefusedError
from nlrn.web.sessions import Entry, Session

if TYPE_CHECKING:
    from nlrn.pixels.range import Range
    from nlrn.web.work import Page

_MOST_JSON = 1 << 16


async def unless_gone(request: Request, result: "asyncio.Future[Any]", stopping: asyncio.Event) -> bool:
    """Wait for a result; False when the one who asked leaves before, or the program is about to end."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = [asyncio.ensure_future(gone()), asyncio.ensure_future(stopping.wait())]
    await asyncio.wait({*leaving, result}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in leaving:
        waiting.cancel()
    if result.done():
        if not result.cancelled():
            result.exception()  # looked at, or asyncio complains that nobody did
        return True
    result.cancel()
    return False


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object that is its body."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_JSON:
            raise RefusedError("This request is too long.", 413)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError("This request is no JSON.") from None
    if not isinstance(value, dict):
        raise RefusedError("This request is no JSON object.")
    return value


def entries_of(session: Session, value: dict[str, Any]) -> list[Entry]:
    """The pictures that it names, each once."""
    named = value.get("pictures")
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise RefusedError("pictures must be a list.")
    return [session.entry(one) for one in dict.fromkeys(named)]


def page_of(entry: Entry, number: int) -> "Page":
    """A page of a picture, which may not be read yet."""
    if entry.opened is None:
        raise RefusedError(entry.refused or f"{entry.name} is not read yet.", 409)
    if number >= len(entry.opened.pages):
        raise RefusedError("The picture has no such page.")
    return entry.opened.pages[number]


def numbers_of(request: Request) -> dict[str, Any]:
    """The parameters in its address; those that are whole numbers as such."""
    return {
        name: int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
        for name, text in request.query_params.items()
    }


def region_of(value: dict[str, Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of a part of a picture, which may lie outside of it."""
    left, top = (whole_number(value, name, 0, 1 << 30) for name in ("left", "top"))
    width, height = (whole_number(value, name, 1, 1 << 30) for name in ("width", "height"))
    return left, top, width, height


def format_of(request: Request) -> tuple[str, int | None]:
    """The format and the quality of a download."""
    from nlrn.web.results import FORMATS

    wanted, quality = request.query_params.get("format", "same"), request.query_params.get("quality")
    if wanted not in ("same", *FORMATS):
        raise RefusedError("The format must be same, " + ", ".join(FORMATS) + ".")
    if quality is None:
        return wanted, None
    if not (quality.isascii() and quality.isdigit() and 1 <= int(quality[:9]) <= 100):
        raise RefusedError("The quality must be from 1 to 100.")
    return wanted, int(quality)


def as_png(pixels: Any, longest: int, reduced: int = 1, span: "Range | None" = None) -> Response:
    """Pixels for the screen, with black and white where they are, and by how much they are reduced: already, and once
    more."""
    from nlrn.web.views import png, shown

    image, factor = shown(pixels, longest, span)
    return Response(png(image), media_type="image/png", headers={"X-Reduced": str(factor * reduced)})
