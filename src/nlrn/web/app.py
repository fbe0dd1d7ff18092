"""The requests of the page and their answers."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from nlrn.web import uploads
from nlrn.web.guard import Guard
from nlrn.web.jobs import Job, JobCancelledError
from nlrn.web.order import order_of, whole_number
from nlrn.web.refused import RefusedError
from nlrn.web.requests import as_png, entries_of, format_of, json_of, numbers_of, page_of, region_of, unless_gone
from nlrn.web.sessions import Entry, Session, Studio

if TYPE_CHECKING:
    from nlrn.pixels.range import Range

_STATIC = Path(__file__).parent / "static"
_LARGEST_PIECE = 1 << 20  # pixels restored while a request waits
_ALIVE = 15.0  # seconds after which a silent connection says that it is there
_OFTEN = 0.15

Value = TypeVar("Value")


def application(studio: Studio) -> ASGIApp:
    """The page as an ASGI application, with its guard."""
    answers = _Answers(studio)
    page = "/api/pages/{token}"
    picture = page + "/pictures/{id}"
    routes = [
        Route("/", answers.index),
        Mount("/static", StaticFiles(directory=_STATIC)),
        Route("/api/about", answers.about),
        Route("/api/pages", answers.begin, methods=["POST"]),
        Route(page, answers.state),
        Route(page + "/events", answers.events),
        Route(page + "/end", answers.end, methods=["POST"]),
        Route(page + "/pictures", answers.upload, methods=["POST"]),
        Route(page + "/restore", answers.restore, methods=["POST"]),
        Route(page + "/cancel", answers.cancel, methods=["POST"]),
        Route(page + "/results.zip", answers.results),
        Route(picture, answers.remove, methods=["DELETE"]),
        Route(picture + "/view", answers.view),
        Route(picture + "/piece", answers.piece, methods=["POST"]),
        Route(picture + "/looks", answers.looks, methods=["POST"]),
        Route(picture + "/result", answers.result),
    ]

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(studio.watch())
        yield
        watching.cancel()

    handlers: Any = {RefusedError: _refused, HTTPException: _failed, ClientDisconnect: _left}
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=life))


def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RefusedError) else 400
    return JSONResponse({"error": str(error)}, status)


def _failed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    return JSONResponse({"error": "There is nothing here." if status == 404 else "This cannot be done here."}, status)


def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


class _Answers:
    """One method for each route."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        # each may hold a part of a large picture in memory
        self._threads = ThreadPoolExecutor(3, "nlrn-views")

    async def index(self, request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", media_type="text/html; charset=utf-8")

    async def about(self, request: Request) -> Response:
        """The models, formats and limits that the page offers."""
        return JSONResponse(self.studio.offers)

    async def begin(self, request: Request) -> Response:
        token, _ = self.studio.begin()
        return JSONResponse({"token": token}, 201)

    async def state(self, request: Request) -> Response:
        from nlrn.web.snapshot import snapshot

        return JSONResponse(snapshot(self._session(request), self.studio))

    async def events(self, request: Request) -> Response:
        """All changes, as server-sent events, as long as the page is open."""
        session, token = self._session(request), request.path_params["token"]
        watcher = session.watch()
        return StreamingResponse(self._changes(session, token, watcher), media_type="text/event-stream")

    async def _changes(self, session: Session, token: str, watcher: asyncio.Event) -> AsyncIterator[str]:
        from nlrn.web.snapshot import snapshot

        try:
            while token in self.studio.sessions and not self.studio.stopping.is_set():
                try:
                    await asyncio.wait_for(watcher.wait(), _ALIVE)
                except asyncio.TimeoutError:
                    yield ": here\n\n"
                    continue
                watcher.clear()
                yield f"data: {json.dumps(snapshot(session, self.studio))}\n\n"
                await asyncio.sleep(_OFTEN)
        finally:
            session.unwatch(watcher)

    async def end(self, request: Request) -> Response:
        self._session(request)
        self.studio.end(request.path_params["token"])
        return Response(status_code=204)

    async def upload(self, request: Request) -> Response:
        """A file, whose bytes are the body."""
        session = self._session(request)
        most, name = session.room(), uploads.safe_name(request.query_params.get("name", ""))
        said = request.headers.get("content-length", "")
        if said.isdigit():
            # before it is sent; what is not said is counted as it comes
            uploads.refuse_size(name, int(said), most, free=uploads.free_bytes(session.folder))
        number = secrets.token_hex(6)
        path = session.folder / number / name
        session.arriving += 1
        try:
            count = await uploads.receive(request.stream(), path, most)
        finally:
            session.arriving -= 1
        self._session(request)  # it may have been closed meanwhile
        entry = session.entries[number] = Entry(number, path, count)
        self.studio.open(session, entry)
        session.changed()
        return JSONResponse({"id": number, "name": name}, 201)

    async def remove(self, request: Request) -> Response:
        session, entry = self._entry(request)
        session.remove(entry)
        return Response(status_code=204)

    async def restore(self, request: Request) -> Response:
        """Begin to restore whole pictures."""
        session, value = self._session(request), await json_of(request)
        order, entries = order_of(value.get("order")), entries_of(session, value)
        (await self.studio.models()).check(order)
        for entry in entries:
            if entry.opened is None:
                raise RefusedError(entry.refused or f"{entry.name} is not read yet.", 409)
        for entry in entries:
            self.studio.restore(session, entry, order)
        return Response(status_code=202)

    async def cancel(self, request: Request) -> Response:
        session, value = self._session(request), await json_of(request)
        for entry in entries_of(session, value):
            if entry.job is not None:
                entry.job.cancel()
                entry.job = entry.wanted = None
        session.changed()
        return Response(status_code=204)

    async def view(self, request: Request) -> Response:
        """A picture, or a part of it, as PNG; reduced where it is larger than a screen."""
        from nlrn.web.views import LONGEST

        _, entry = self._entry(request)
        query = numbers_of(request)
        number = whole_number({"page": 0, **query}, "page", 0, 1 << 20)
        longest = whole_number({"longest": LONGEST, **query}, "longest", 16, LONGEST)
        page = page_of(entry, number)
        if query.get("of") == "result":
            if entry.result is None:
                raise RefusedError("There is no result any more.", 404)
            pixels, reduction, span = entry.result.pages[number].pixels, 1, page.range
        elif "width" in query:
            pixels, reduction, span = page.picture.pixels, 1, page.range
        else:
            pixels, reduction, span = page.overview, page.reduction, None
        if "width" in query:
            left, top, width, height = region_of(query)
            pixels = pixels[top : top + height, left : left + width]
            if 0 in pixels.shape:
                raise RefusedError("This part lies outside of the picture.")
        return await self._in_thread(partial(as_png, pixels, longest, reduction, span))

    async def piece(self, request: Request) -> Response:
        """A part of a picture restored, as PNG; ends with the request."""
        session, entry = self._entry(request)
        value = await json_of(request)
        order, region = order_of(value.get("order")), region_of(value)
        page = page_of(entry, whole_number({"page": 0, **value}, "page", 0, 1 << 20))
        if region[2] * region[3] > _LARGEST_PIECE:
            raise RefusedError("This part is too large to be looked at quickly: restore the whole.")
        (await self.studio.models()).check(order)
        pieces = self.studio.pieces
        job = Job(region[2] * region[3], lambda progress: pieces().restore(page, region, order, progress))
        return await self._looked(request, session, "piece", job, page.range)

    async def looks(self, request: Request) -> Response:
        """The pixels that the network looks at when it restores one, as PNG; ends with the request."""
        session, entry = self._entry(request)
        value = await json_of(request)
        order = order_of(value.get("order"))
        x, y = (whole_number(value, axis, 0, 1 << 30) for axis in ("x", "y"))
        page = page_of(entry, whole_number({"page": 0, **value}, "page", 0, 1 << 20))
        (await self.studio.models()).check(order)
        pieces = self.studio.pieces
        job = Job(1 << 16, lambda progress: pieces().explain(page, x, y, order))
        return await self._looked(request, session, "looks", job)

    async def result(self, request: Request) -> Response:
        """A restored picture as a file."""
        _, entry = self._entry(request)
        if entry.result is None:
            raise RefusedError("This picture is not restored yet.", 404)
        result, (wanted, quality) = entry.result, format_of(request)
        folder = entry.path.parent / secrets.token_hex(4)

        def save() -> Path:
            folder.mkdir()
            return result.save(folder, wanted, quality)

        path = await self._in_thread(save)
        from starlette.background import BackgroundTask

        async def forget() -> None:
            path.unlink(missing_ok=True)
            folder.rmdir()

        return FileResponse(path, filename=path.name, background=BackgroundTask(forget))

    async def results(self, request: Request) -> Response:
        """All restored pictures of the page in one file."""
        from nlrn.web.results import zipped

        session, (wanted, quality) = self._session(request), format_of(request)
        found = [entry.result for entry in session.entries.values() if entry.result is not None]
        if not found:
            raise RefusedError("No picture is restored yet.", 404)
        pieces = iterate_in_threadpool(zipped(found, session.folder, wanted, quality))
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote('nlrn.zip')}"}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    def _session(self, request: Request) -> Session:
        return self.studio.session(request.path_params["token"])

    def _entry(self, request: Request) -> tuple[Session, Entry]:
        session = self._session(request)
        return session, session.entry(request.path_params["id"])

    async def _in_thread(self, action: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)

    async def _looked(
        self, request: Request, session: Session, what: str, job: "Job[Any]", span: "Range | None" = None
    ) -> Response:
        """The result of a job as PNG, with black and white where they are, while somebody waits for it."""
        from nlrn.web.making import sentence_of

        session.look(what, job)
        self.studio.looking.add(job)
        if not await unless_gone(request, asyncio.wrap_future(job.result), self.studio.stopping):
            job.cancel()
            return Response(status_code=499)
        error = None if job.result.cancelled() else job.result.exception()
        if job.result.cancelled() or isinstance(error, JobCancelledError):
            raise RefusedError("Something else was asked for meanwhile.", 409)
        if error is not None:
            raise RefusedError(sentence_of("This part", error), getattr(error, "status", 500))
        return await self._in_thread(partial(as_png, job.result.result(), 4096, span=span))
