"""Hands requests on to the services behind the front, with a pass that says who asks; answers stream through.

Packages of services never import each other, and there is one HTTP address: so the front passes on (ADR 0011).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from overread.contracts.errors import Unavailable
from overread.review.access import Reader
from overread.review.identity import INTEGRATORS, OPERATORS, ORDER_PLACERS, RECONCILERS, Identity
from overread.runtime.clock import Clock
from overread.runtime.passes import PASS_HEADER, Visitor, issue

ANSWER_SECONDS = 30.0
CONNECTIONS = 32

_ASKED = (
    "accept",
    "accept-encoding",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-exist",
    "if-none-match",
    "prefer",
)
_ANSWERED = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-disposition",
    "etag",
    "location",
    "last-modified",
    "cache-control",
    "vary",
    "retry-after",
    "allow",
)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Behind:
    """A service behind the front: its name, and the connections to its Unix socket."""

    name: str
    client: httpx.AsyncClient

    @classmethod
    def at(cls, name: str, socket: Path) -> "Behind":
        """Return the service that answers at `socket`; nothing is opened yet."""
        transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=CONNECTIONS))
        client = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=ANSWER_SECONDS)
        return cls(name, client)


class Front:
    """What lies behind the front."""

    def __init__(self, secret: bytes, clock: Clock, behind: Mapping[str, Behind]) -> None:
        self._secret = secret
        self._clock = clock
        self._behind = behind

    async def pass_on(self, request: Request, name: str, path: str, reader: Identity) -> Response:
        """Return the answer of the service called `name`, streamed, or raise `Unavailable`."""
        must_stay(path)
        behind = self._named(name)
        asked = behind.client.build_request(
            request.method,
            httpx.URL(path=path, query=request.url.query.encode()),
            headers={header: request.headers[header] for header in _ASKED if header in request.headers}
            | self._pass(name, reader),
            content=await request.body(),
        )
        try:
            answer = await behind.client.send(asked, stream=True)
        except httpx.HTTPError as error:
            raise Unavailable(f"{name} does not answer") from error
        return StreamingResponse(_content(answer), status_code=answer.status_code, headers=_headers(answer))

    async def ask(self, name: str, path: str, reader: Identity) -> Any:
        """Return the JSON that the service called `name` answers, None when it has nothing there."""
        try:
            answer = await self._named(name).client.get(path, headers=self._pass(name, reader))
        except httpx.HTTPError as error:
            raise Unavailable(f"{name} does not answer") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise Unavailable(f"{name} answered {answer.status_code}")
        return answer.json()

    def _named(self, name: str) -> Behind:
        behind = self._behind.get(name)
        if behind is None:
            raise Unavailable(f"{name} is not part of this installation")
        return behind

    def _pass(self, name: str, reader: Identity) -> dict[str, str]:
        visitor = Visitor(subject=reader.subject, site_id=reader.site_id, roles=reader.roles)
        return {PASS_HEADER: issue(visitor, audience=name, secret=self._secret, now=self._clock())}


def must_stay(path: str) -> None:
    """Refuse what would be another path behind us, or none (RFC 3986, 5.2.4): the role was judged by this one."""
    if {".", ".."} & set(path.split("/")) or not path.isprintable():
        raise HTTPException(404, "no path here has '.' or '..' as a part of it, or a control character")


def _headers(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}


async def _content(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the bytes as they come; a reader who goes away ends the request behind."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


router = APIRouter(include_in_schema=False)


@router.get("/dicom-web/{path:path}")
async def dicomweb(request: Request, reader: Reader, path: str) -> Response:
    """Pass on to dicomweb (PS3.18): images are for readers."""
    reader.must_read()
    return await _front(request).pass_on(request, "dicomweb", f"/dicom-web/{path}", reader)


@router.get("/ops/links")
async def links(request: Request, reader: Reader) -> Response:
    """Pass on to ops: how links are is for operators and for integrators."""
    reader.must_be_one_of(INTEGRATORS | OPERATORS)
    return await _front(request).pass_on(request, "ops", "/ops/links", reader)


@router.get("/ops/{path:path}")
async def operations(request: Request, reader: Reader, path: str) -> Response:
    """Pass on to ops: flow, health and dead letters are for operators."""
    reader.must_operate()
    return await _front(request).pass_on(request, "ops", f"/ops/{path}", reader)


@router.api_route("/desk/{path:path}", methods=_METHODS)
async def desk(request: Request, reader: Reader, path: str) -> Response:
    """Pass on to assembly: which order belongs to which study is for reconcilers."""
    reader.must_be_one_of(RECONCILERS)
    return await _front(request).pass_on(request, "assembly", f"/desk/{path}", reader)


@router.api_route("/mapping/{path:path}", methods=_METHODS)
async def mapping(request: Request, reader: Reader, path: str) -> Response:
    """Pass on to assembly: what a link's codes mean is for integrators."""
    reader.must_be_one_of(INTEGRATORS)
    return await _front(request).pass_on(request, "assembly", f"/mapping/{path}", reader)


@router.api_route("/messages/{path:path}", methods=_METHODS)
async def messages(request: Request, reader: Reader, path: str) -> Response:
    """Pass on to assembly: messages are for integrators, and for operators without the patient."""
    reader.must_be_one_of(INTEGRATORS | OPERATORS)
    return await _front(request).pass_on(request, "assembly", f"/messages/{path}", reader)


@router.api_route("/api/v1/orders", methods=_METHODS)
async def orders(request: Request, reader: Reader) -> Response:
    """Pass on to order_intake: orders as plain JSON are placed by machines that may."""
    reader.must_be_one_of(ORDER_PLACERS)
    return await _front(request).pass_on(request, "order_intake", "/api/v1/orders", reader)


@router.api_route("/fhir", methods=["POST"])
@router.api_route("/fhir/{path:path}", methods=_METHODS)
async def fhir(request: Request, reader: Reader, path: str = "") -> Response:
    """Pass on to order_intake: orders as FHIR are placed by machines that may."""
    reader.must_be_one_of(ORDER_PLACERS)
    return await _front(request).pass_on(request, "order_intake", f"/fhir/{path}".rstrip("/"), reader)


def _front(request: Request) -> Front:
    front: Front = request.app.state.front
    return front
