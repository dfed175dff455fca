"""The HTTP app: API, sign-in, the services behind it, health, operations, and the page at `/`."""

from typing import Any

import httpx
from fastapi import FastAPI, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from overread.review import (
    api,
    issuer_api,
    operations,
    passing,
    queries,
    reading_api,
    shell,
    sign_in_api,
    worklist_api,
)
from overread.review.access import Reader, TheDesk
from overread.review.desk import Desk
from overread.review.embedded_issuer import EmbeddedIssuer
from overread.review.identity import KeySource, TokenVerifier
from overread.review.limits import Limits
from overread.review.passing import Behind, Front
from overread.review.problems import add_problem_handlers
from overread.review.reading_desk import ReadingDesk
from overread.review.sessions import Sessions
from overread.review.settings import ReviewSettings
from overread.review.sign_in import RelyingParty
from overread.runtime.clock import Clock
from overread.runtime.health import add_open_health_routes, metrics_response


def build(
    desk: Desk, verifier: TokenVerifier, issuer: EmbeddedIssuer | None, source: KeySource | None = None
) -> FastAPI:
    """Return the app; without `issuer` the sign-in is somebody else's, whose keys come from `source`."""
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
    app.state.sessions = Sessions(desk.service, desk.settings)
    app.state.reading_desk = ReadingDesk(desk)
    app.state.front = front_of(desk.settings, desk.service.clock)
    app.state.relying_party = _relying_party(app, desk, verifier, issuer or source)
    add_problem_handlers(app)
    add_open_health_routes(app, desk.service.health)
    for router in (api.router, worklist_api.router, reading_api.router, sign_in_api.me_router, sign_in_api.router):
        app.include_router(router)
    if issuer is not None:
        app.include_router(issuer_api.router)
    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
    app.add_api_route("/ops/status", status, methods=["GET"], tags=["ops"])
    app.include_router(operations.router)
    app.include_router(passing.router)
    app.include_router(shell.router)
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=[desk.settings.http_host, *desk.settings.http_allowed_hosts]
    )
    app.add_middleware(Limits)
    return app


def front_of(settings: ReviewSettings, clock: Clock) -> Front:
    """Return the front with the services that this installation has."""
    sockets = {
        "dicomweb": settings.dicomweb_socket,
        "ops": settings.ops_socket,
        "assembly": settings.assembly_socket,
        "order_intake": settings.order_intake_socket,
    }
    secret = settings.front_secret.get_secret_value().encode() if settings.front_secret else b""
    behind = {name: Behind.at(name, socket) for name, socket in sockets.items() if socket and secret}
    return Front(secret, clock, behind)


async def metrics(reader: Reader) -> Response:
    """Return this process's metrics to somebody who looks after the system."""
    reader.must_operate()
    return metrics_response()


async def status(desk: TheDesk, reader: Reader) -> dict[str, Any]:
    """Return counts of what is where, without any patient, to somebody who looks after the system."""
    reader.must_operate()
    async with desk.service.transaction() as tx:
        counted = await queries.counts(tx.connection, reader.site_id)
    return {"site_id": reader.site_id, "failing": dict(await desk.service.health.failing()), **counted}


def _relying_party(app: FastAPI, desk: Desk, verifier: TokenVerifier, source: KeySource | None) -> RelyingParty | None:
    """Return our side of the sign-in; the embedded issuer is asked in process, any other over the network."""
    if source is None:
        return None
    is_embedded = desk.settings.issuer == "embedded"

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) if is_embedded else httpx.AsyncClient()

    return RelyingParty(
        settings=desk.settings, verifier=verifier, source=source, clock=desk.service.clock, client=client
    )
