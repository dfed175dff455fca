"""The HTTP app of `review`: API, embedded sign-in, health, operations, and the plain page at `/`."""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from overread.review import api, issuer_api, queries
from overread.review.api import Reader, TheDesk
from overread.review.desk import Desk
from overread.review.embedded_issuer import EmbeddedIssuer
from overread.review.identity import TokenVerifier
from overread.review.problems import add_problem_handlers, problem
from overread.runtime.health import add_open_health_routes, metrics_response

MOST_BODY_BYTES = 128 * 1024

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}


def build(desk: Desk, verifier: TokenVerifier, issuer: EmbeddedIssuer | None) -> FastAPI:
    """Return the app; without `issuer` the sign-in is somebody else's."""
    app = FastAPI(
        title="Overread",
        summary="Draft reports of imaging AI, before a clinician, until the signature.",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    app.state.verifier = verifier
    app.state.issuer = issuer
    add_problem_handlers(app)
    add_open_health_routes(app, desk.service.health)
    app.include_router(api.router)
    if issuer is not None:
        app.include_router(issuer_api.router)
    app.add_api_route("/", page, methods=["GET"], response_class=HTMLResponse, include_in_schema=False)
    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
    app.add_api_route("/ops/status", status, methods=["GET"], tags=["ops"])
    app.middleware("http")(_with_limits)
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=[desk.settings.http_host, *desk.settings.http_allowed_hosts]
    )
    return app


async def page() -> str:
    """Say what this is and where the API is."""
    return (resources.files("overread.review") / "page" / "index.html").read_text(encoding="utf-8")


async def metrics(reader: Reader) -> Response:
    """Return this process's metrics to somebody who looks after the system."""
    reader.must_operate()
    return metrics_response()


async def status(desk: TheDesk, reader: Reader) -> dict[str, Any]:
    """Return counts of what is where, without any patient."""
    async with desk.service.transaction() as tx:
        counted = await queries.counts(tx.connection, reader.site_id)
    return {"site_id": reader.site_id, "failing": dict(await desk.service.health.failing()), **counted}


async def _with_limits(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse bodies without a length or too long, and let nothing that is answered be kept by a cache."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers:
        return problem(411, "length-required", "The body has no length.", "", "Send a Content-Length header.")
    if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
        return problem(413, "too-large", "The body is too long.", f"at most {MOST_BODY_BYTES} bytes", "Send less.")
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response
