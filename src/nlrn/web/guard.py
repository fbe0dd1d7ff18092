"""What a request may have: the page itself and the files that it made or was given, nothing else of this machine."""

import os
from pathlib import Path

from gradio.processing_utils import hash_file
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FILE = "/gradio_api/file="
# All that the page asks for. Gradio has more routes: to fetch addresses of the net, to stream, to keep a history.
_ROUTES = {
    "/",
    "/config",
    "/favicon.ico",
    "/manifest.json",
    "/theme.css",
    "/gradio_api/app_id",
    "/gradio_api/cancel",
    "/gradio_api/info",
    "/gradio_api/queue/data",
    "/gradio_api/queue/join",
    "/gradio_api/reset",
    "/gradio_api/startup-events",
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
}
_BELOW = ("/assets/", "/static/", "/gradio_api/heartbeat/", "/svelte/")
_HOSTS = {"127.0.0.1", "localhost"}
# Whatever Gradio's page may name, the browser loads nothing that does not come from here.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; form-action 'self'; "
    "base-uri 'self'; frame-ancestors 'none'"
)


def is_ours(path: str | Path, folder: Path) -> bool:
    """Whether a file is one that was uploaded or made by the page.

    Gradio keeps each in a folder of ``folder`` that is named after the file's contents. A file that came there in
    another way does not fit its folder's name.

    Args:
        path: of whatever a client named.
        folder: where Gradio keeps files, without links in it.
    """
    real = Path(os.path.realpath(path))
    return real.parent.parent == folder and real.is_file() and hash_file(real) == real.parent.name


class Guard:
    """Lets through what the page needs, when it comes from this machine.

    Args:
        app: what answers.
        folder: where Gradio keeps files, without links in it.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http" or not await self._allowed(scope):
            if scope["type"] == "http":
                await PlainTextResponse("Not found", 404)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, guarded)

    async def _allowed(self, scope: Scope) -> bool:
        # a page of the net whose name leads to this machine sends its own name along
        if Headers(scope=scope).get("host", "").rpartition(":")[0] not in _HOSTS:
            return False
        path: str = scope["path"]
        if path.startswith(_FILE):
            return await run_in_threadpool(is_ours, path.removeprefix(_FILE), self._folder)
        return path in _ROUTES or path.startswith(_BELOW)
