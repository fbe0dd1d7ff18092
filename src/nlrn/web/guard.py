"""Lets only requests of the page itself, from this machine, be answered."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
_READING = {"GET", "HEAD"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets through what the page asks for.

    A page of the net, or of another port of this machine, can send requests here too, through the browser of
    whoever looks at it. Its name or its origin gives it away: the first where its name was pointed at this machine,
    the second, which browsers add to whatever changes something, everywhere else.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket, which the page does not use
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        reason = _reason_against(scope["method"], Headers(scope=scope))
        if reason is None:
            await self._app(scope, receive, guarded)
        else:
            await JSONResponse({"error": reason}, 403)(scope, receive, guarded)


def _reason_against(method: str, headers: Headers) -> str | None:
    host = headers.get("host", "")
    name, _, port = host.rpartition(":")
    if host not in _HOSTS and not (name in _HOSTS and port.isdigit()):
        return "This page answers under 127.0.0.1 and localhost only."
    origin = headers.get("origin")
    ours = origin is not None and origin == f"http://{host}"
    if (method not in _READING or origin is not None) and not ours:
        return "This request did not come from the page."
    # "none": an address that was typed or a bookmark; older browsers do not say
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not _is_visit(method, headers):
        return "This request did not come from the page."
    return None


def _is_visit(method: str, headers: Headers) -> bool:
    """Whether somebody followed a link to the page, which shows it and tells the linking page nothing."""
    return method in _READING and headers.get("sec-fetch-mode") == "navigate"
