"""What every request is bounded by, and the headers that every answer carries; streams pass through."""

from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from overread.review.problems import problem

MOST_BODY_BYTES = 128 * 1024
MOST_ORDERS_BYTES = 2 * 1024 * 1024
ORDERS = ("/api/v1/orders", "/fhir")
"""Where many orders may come in one body."""
MOST_FILE_BYTES = 4 * 1024 * 1024 + 1024
FILES = "/mapping/"
"""Where people send files; assembly judges them, and names what is too long in words."""
MOST_MESSAGE_BYTES = 9 * 1024 * 1024
MESSAGES = "/messages/"
"""Where a mended message comes: as long as one that the listener takes (8 MiB), and its quotes in JSON."""

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": under that, a browser sends the sign-in form with the origin "null" (Fetch, 3.1).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Limits:
    """Refuses bodies without a length or too long, and sets each header that a route did not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer: Any = refusal(Headers(scope=scope), most_bytes_at(scope["path"])) or self._app

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await answer(scope, receive, send_with_headers)


def most_bytes_at(path: str) -> int:
    """Return how long a body to `path` may be."""
    if path == ORDERS[0] or f"{path}/".startswith(f"{ORDERS[1]}/"):
        return MOST_ORDERS_BYTES
    longer = {FILES: MOST_FILE_BYTES, MESSAGES: MOST_MESSAGE_BYTES}
    return next((most for prefix, most in longer.items() if path.startswith(prefix)), MOST_BODY_BYTES)


def refusal(headers: Headers, most_bytes: int = MOST_BODY_BYTES) -> Any:
    """Return the answer to a body that can't be taken, None when it can."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        return problem(411, "length-required", "The body has no length.", "", "Send a Content-Length header.")
    if not length.isdecimal() or int(length) > most_bytes:
        return problem(413, "too-large", "The body is too long.", f"at most {most_bytes} bytes", "Send less.")
    return None
