"""What people ask of assembly, behind the front: a router a concern, each in a module of its own (ADR 0017)."""

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from overread.assembly.desk_api import DeskApi
from overread.assembly.door import Door, Refused
from overread.assembly.mapping_api import MappingApi
from overread.assembly.messages import Messages
from overread.assembly.messages_api import MessagesApi
from overread.contracts.errors import Malformed, Unavailable
from overread.runtime.passes import invalid
from overread.runtime.service import Service
from overread.runtime.telemetry import log


def build(service: Service, secret: bytes, *, messages: Messages | None = None) -> FastAPI:
    """Return the app; it is reached through the front alone, which knows `secret` too. `messages` are for tests."""
    app = FastAPI(title="Overread assembly", openapi_url=None, docs_url=None, redoc_url=None)
    door = Door(service, secret)
    for router in (
        DeskApi(service).router(door),
        MappingApi.of(service).router(door),
        MessagesApi(messages or Messages.of(service)).router(door),
    ):
        app.include_router(router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Malformed, _malformed)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(asyncpg.DataError, _unkeepable)
    app.add_exception_handler(RequestValidationError, invalid)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    refused = error if isinstance(error, Refused) else Refused()
    return _answer(refused.status, refused.kind, refused)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    return _answer(422, "malformed", error)


async def _unkeepable(request: Request, error: Exception) -> JSONResponse:
    """Answer what our own checks let through and PostgreSQL did not: a check is missing, so it is logged."""
    log.error("not_kept", path=request.url.path, error=type(error).__name__)
    return _answer(422, "malformed", ValueError("a value is not one that can be kept: correct it and send it again"))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    answer = _answer(503, "unavailable", error)
    answer.headers["Retry-After"] = "1"
    return answer


def _answer(status: int, kind: str, error: Exception) -> JSONResponse:
    body = {"type": f"urn:overread:problem:{kind}", "status": status, "detail": str(error)}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
