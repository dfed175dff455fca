"""Two questions, two routes: is the loop turning (`/healthz`), does every dependency answer (`/readyz`)."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from overread.contracts.errors import Unavailable

PING_SECONDS = 3.0
ANSWER_SECONDS = 5.0

Ping = Callable[[], Awaitable[None]]
Answer = Callable[[], Awaitable[object]]
"""What a service says of itself, as JSON; raises `Unavailable` while it can't."""


class Health:
    """The pings that a service's dependencies registered, and what waits for them."""

    def __init__(self) -> None:
        self._pings: dict[str, Ping] = {}
        self._waits: dict[str, Callable[[], str | None]] = {}
        self._warnings: list[Callable[[], Mapping[str, str]]] = []
        self._asking: asyncio.Task[Mapping[str, str]] | None = None
        self.is_started = False

    def register(self, dependency: str, ping: Ping) -> None:
        """Let `/readyz` ask `ping`, which raises `Unavailable` when `dependency` does not answer."""
        self._pings[dependency] = ping

    def register_wait(self, name: str, reason: Callable[[], str | None]) -> None:
        """Let `/readyz` say that `name` waits while `reason` gives one."""
        self._waits[name] = reason

    def register_warnings(self, warnings: Callable[[], Mapping[str, str]]) -> None:
        """Let `/readyz` name, beside what it says anyway, parts that are not well and keep nothing else from working."""
        self._warnings.append(warnings)

    def warnings(self) -> Mapping[str, str]:
        """Return each part that is not well, with its reason; the service is ready all the same."""
        return {name: reason for ask in self._warnings for name, reason in ask().items()}

    async def dependencies_failing(self) -> Mapping[str, str]:
        """Return each dependency that does not answer within its time, with the reason.

        All who want to know at the same time share one round of pings: many consumptions may wait for one server.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._asked_all())
        return await asyncio.shield(self._asking)

    async def _asked_all(self) -> Mapping[str, str]:
        asked = dict(self._pings)  # a service that starts registers more of them meanwhile
        answers = await asyncio.gather(*(self._ask(ping) for ping in asked.values()))
        return {name: answer for name, answer in zip(asked, answers, strict=True) if answer}

    async def failing(self) -> Mapping[str, str]:
        """Return all that keeps the service from being ready: start, waits, and dependencies that don't answer."""
        start = {} if self.is_started else {"start": "the service is still starting"}
        waits = {name: reason for name, ask in self._waits.items() if (reason := ask())}
        return {**start, **waits, **await self.dependencies_failing()}

    async def _ask(self, ping: Ping) -> str | None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await ping()
        except Unavailable as away:
            return str(away)
        except TimeoutError:
            return f"no answer within {PING_SECONDS:.0f} s"
        except Exception as error:  # noqa: BLE001 - a ping that fails in a new way is no answer either
            return f"fails with {type(error).__name__}"
        return None


def add_open_health_routes(app: FastAPI, health: Health) -> None:
    """Give `app` the two routes that need no token."""

    @app.get("/healthz", response_class=PlainTextResponse, tags=["health"])
    async def healthz() -> str:
        """Answer while the event loop turns."""
        return "ok"

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """Answer 200 when every dependency answers, else 503 and the names of those that do not."""
        failing = await health.failing()
        warnings = health.warnings()
        told = {"ready": not failing, "failing": failing, **({"warnings": warnings} if warnings else {})}
        return JSONResponse(told, status_code=503 if failing else 200)


def readiness_at(socket_path: Path) -> Mapping[str, str] | None:
    """Ask the service at its own socket what keeps it from being ready, blocking; None when it does not answer."""
    told = readiness_and_warnings_at(socket_path)
    return None if told is None else told[0]


def readiness_and_warnings_at(socket_path: Path) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
    """Ask the same, and which parts of the service are not well although it is ready."""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path)), timeout=ANSWER_SECONDS) as client:
            told = client.get("http://service/readyz").json()
            return dict(told["failing"]), dict(told.get("warnings", {}))
    except (httpx.HTTPError, OSError, ValueError, KeyError):
        return None


def answer_at(socket_path: Path, path: str) -> Any:
    """Return what the service at `socket_path` answers to GET `path` as JSON, blocking; None when it does not answer."""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path)), timeout=ANSWER_SECONDS) as client:
            answer = client.get(f"http://service{path}")
            return answer.json() if answer.is_success else None
    except (httpx.HTTPError, OSError, ValueError):
        return None


def metrics_response() -> Response:
    """Return this process's metrics in Prometheus text form."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def operations_app(health: Health, answers: Mapping[str, Answer] | None = None) -> FastAPI:
    """Return the app behind the service's own Unix socket: health, metrics, and what else it `answers` by path.

    File rights are its authentication.
    """
    app = FastAPI(title="Overread service", openapi_url=None, docs_url=None, redoc_url=None)
    add_open_health_routes(app, health)
    app.add_api_route("/metrics", metrics_response, methods=["GET"])
    for path, answer in (answers or {}).items():
        app.add_api_route(path, _route(answer), methods=["GET"])
    return app


def _route(answer: Answer) -> Callable[[], Awaitable[JSONResponse]]:
    async def route() -> JSONResponse:
        try:
            return JSONResponse(jsonable_encoder(await answer()))
        except Unavailable as away:
            return JSONResponse({"reason": str(away)}, status_code=503)

    return route


class InnerServer(uvicorn.Server):
    """A uvicorn server inside a service: the service, not uvicorn, answers the signals."""

    on_listening: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.on_listening:
            self.on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers as they are."""
        yield


async def serve_on_socket(app: FastAPI, socket_path: Path, *, on_listening: Callable[[], None] | None = None) -> None:
    """Serve `app` on a Unix socket until cancelled; tell `on_listening` when it listens."""
    await asyncio.to_thread(_make_way, socket_path)
    await serve(app, on_listening=on_listening, uds=str(socket_path))


def _make_way(socket_path: Path) -> None:
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.unlink(missing_ok=True)


async def serve(app: FastAPI, *, on_listening: Callable[[], None] | None = None, **options: object) -> None:
    """Serve `app` until cancelled, then end open requests within three seconds; tell `on_listening` when it listens."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        **options,  # type: ignore[arg-type]
    )
    server = InnerServer(config)
    server.on_listening = on_listening
    serving = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
