"""Errors as problem documents (RFC 9457): what is wrong, and what to do next; never a value that was sent."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.report_life import TransitionRefused
from overread.review.refusals import NotSignedIn, ReviewRefused, SessionTooOld, WrongState
from overread.runtime.plain_words import said_of

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was refused."""

    type: str
    title: str
    status: int
    detail: str
    next_step: str


def problem(status: int, kind: str, title: str, detail: str, next_step: str) -> JSONResponse:
    """Return a problem document as the answer."""
    body = Problem(type=f"urn:overread:problem:{kind}", title=title, status=status, detail=detail, next_step=next_step)
    headers = {"WWW-Authenticate": 'Bearer realm="overread"'} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse(body.model_dump(), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Let every refusal of `app` be a problem document."""
    app.add_exception_handler(ReviewRefused, _refused)
    app.add_exception_handler(TransitionRefused, _wrong_state)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Malformed, _malformed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    refused = error if isinstance(error, ReviewRefused) else ReviewRefused()
    title = (type(refused).__doc__ or "").strip()
    return problem(refused.status, refused.kind, title, str(refused), refused.next_step)


async def _wrong_state(_: Request, error: Exception) -> JSONResponse:
    title = (WrongState.__doc__ or "").strip()
    return problem(WrongState.status, WrongState.kind, title, str(error), WrongState.next_step)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return problem(
        503, "unavailable", "Overread can't do this at the moment.", str(error), "Nothing was changed: try again soon."
    )


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    return problem(422, "malformed", "The request can't work as it is.", str(error), "Correct it and send it again.")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return problem(
        422,
        "invalid-request",
        "The request has not the form it must have.",
        said_of(faults),
        "See /api/v1/openapi.json.",
    )


async def _http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    return problem(status, "http", detail, detail, "See /api/v1/openapi.json for what there is.")


RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        401: f"{NotSignedIn.__doc__} {SessionTooOld.__doc__}",
        403: "Your roles, entitlements or site do not allow this.",
        404: "There is no such thing at this site.",
        409: "The report's state, its claim or its document is not what the request supposes.",
        422: "The request has not the form it must have.",
        503: "A dependency is away; nothing was changed.",
    }.items()
}
"""What every route of the API may answer besides success."""
