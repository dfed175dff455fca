"""The routes of DICOMweb (PS3.18, 10.4 and 10.6); every one asks for the front's pass."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from overread.archive.queries import HeldInstance
from overread.contracts.codec import json_bytes, sha256
from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.identifiers import parse_uid
from overread.dicomweb import media_types
from overread.dicomweb.frames import NoPixels, NoSuchFrame, served_syntax
from overread.dicomweb.metadata import INSTANCE_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS
from overread.dicomweb.retrieve import NothingHeld, Retrieval
from overread.dicomweb.settings import DicomwebSettings
from overread.dicomweb.views import Views
from overread.runtime.object_store import ObjectMissing
from overread.runtime.passes import Visitor, invalid, visitor_with
from overread.runtime.service import Service

READERS = frozenset({"radiologist", "clinician"})
FRAMES_AT_ONCE = 64
CACHED = "private, max-age=3600"
SEARCHED = frozenset({"StudyInstanceUID", "0020000D", "limit", "offset", "includefield"})

Uid = Annotated[str, Path(max_length=64, pattern=r"^[0-9.]+$")]

_STATUS: dict[type[OverreadError], int] = {
    NothingHeld: 404,
    ObjectMissing: 404,
    NoSuchFrame: 404,
    NoPixels: 406,
    Malformed: 422,
    Unavailable: 503,
}


def build(service: Service, settings: DicomwebSettings, retrieval: Retrieval) -> FastAPI:
    """Return the app; it is reached through the front alone."""
    app = FastAPI(title="Overread DICOMweb", openapi_url=None, docs_url=None, redoc_url=None)
    visitor = visitor_with(
        READERS,
        audience="dicomweb",
        secret=settings.front_secret.get_secret_value().encode(),
        site_id=settings.site_id,
        clock=service.clock,
    )
    app.include_router(_routes(retrieval, Views(service), visitor), prefix="/dicom-web")
    app.add_exception_handler(OverreadError, _refused)
    app.add_exception_handler(RequestValidationError, invalid)
    return app


def _routes(retrieval: Retrieval, views: Views, visitor: Any) -> APIRouter:
    router = APIRouter(dependencies=[Depends(visitor)])
    _Retrieving(retrieval, views, visitor).add_to(router)
    _Searching(retrieval, views, visitor).add_to(router)
    return router


class _Retrieving:
    """WADO-RS: metadata, frames, whole instances."""

    def __init__(self, retrieval: Retrieval, views: Views, visitor: Any) -> None:
        self._retrieval = retrieval
        self._views = views
        self._visitor = visitor

    def add_to(self, router: APIRouter) -> None:
        """Add the routes, and record whose eyes the images reach."""
        seen = [Depends(_look(self._views, self._visitor))]
        one = "/studies/{study}/series/{series}/instances/{instance}"
        for path, route in (
            ("/studies/{study}/metadata", self.study_metadata),
            ("/studies/{study}/series/{series}/metadata", self.series_metadata),
            (f"{one}/metadata", self.instance_metadata),
            (f"{one}/frames/{{frames}}", self.frames),
            (one, self.instance),
        ):
            router.add_api_route(path, route, methods=["GET"], dependencies=seen)

    async def study_metadata(self, request: Request, study: Uid) -> Response:
        return self._metadata(request, await self._retrieval.held(parse_uid(study)))

    async def series_metadata(self, request: Request, study: Uid, series: Uid) -> Response:
        return self._metadata(request, await self._retrieval.held(parse_uid(study), parse_uid(series)))

    async def instance_metadata(self, request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        found = await self._retrieval.held(parse_uid(study), parse_uid(series), parse_uid(instance))
        return self._metadata(request, found)

    async def frames(
        self,
        request: Request,
        study: Uid,
        series: Uid,
        instance: Uid,
        frames: Annotated[str, Path(max_length=400, pattern=r"^[1-9][0-9]{0,6}(,[1-9][0-9]{0,6})*$")],
    ) -> Response:
        """Return frames as they are stored, each in a part of its own (PS3.18, 10.4.1.1.3)."""
        [held] = await self._retrieval.held(parse_uid(study), parse_uid(series), parse_uid(instance))
        numbers = [int(number) for number in frames.split(",")]
        if len(numbers) > FRAMES_AT_ONCE:
            raise HTTPException(400, f"at most {FRAMES_AT_ONCE} frames at once")
        part_type = media_types.frame_type(request.headers.get("accept", ""), served_syntax(held.transfer_syntax_uid))
        if part_type is None:
            raise HTTPException(406, _only_stored(held))
        tag = f'"{held.digest[:32]}-{frames}-{part_type}"'
        if request.headers.get("if-none-match") == tag:
            return _unchanged(tag)
        read = await self._retrieval.frames(held, numbers)
        content_type = f"{part_type}; transfer-syntax={read.transfer_syntax_uid}"
        boundary = uuid4().hex
        parts = b"".join(_part(boundary, content_type, [content]) for content in read.contents) + _end(boundary)
        return Response(parts, headers=_headers(boundary, part_type, tag))

    async def instance(self, request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        """Return the stored file, streamed (PS3.18, 10.4.1.1.1)."""
        [held] = await self._retrieval.held(parse_uid(study), parse_uid(series), parse_uid(instance))
        if not media_types.takes_instance(request.headers.get("accept", ""), held.transfer_syntax_uid):
            raise HTTPException(406, _only_stored(held))
        tag = f'"{held.digest[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return _unchanged(tag)
        boundary = uuid4().hex
        content_type = f"{media_types.DICOM}; transfer-syntax={held.transfer_syntax_uid}"
        streamed = _streamed(boundary, content_type, self._retrieval.content(held))
        return StreamingResponse(streamed, headers=_headers(boundary, media_types.DICOM, tag))

    def _metadata(self, request: Request, found: list[HeldInstance]) -> Response:
        media_type = media_types.json_type(request.headers.get("accept", ""))
        if media_type is None:
            raise HTTPException(406, f"metadata is answered as {media_types.DICOM_JSON}")
        tag = f'"{sha256(b"".join(one.digest.encode() for one in found))[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return _unchanged(tag)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        return StreamingResponse(self._retrieval.metadata(found), media_type=media_type, headers=headers)


class _Searching:
    """QIDO-RS, as little of it as a viewer needs: what there is under an address."""

    def __init__(self, retrieval: Retrieval, views: Views, visitor: Any) -> None:
        self._retrieval = retrieval
        self._views = views
        self._visitor = visitor

    def add_to(self, router: APIRouter) -> None:
        """Add the routes, and record who searched for what."""
        seen = [Depends(_look(self._views, self._visitor))]
        searched = [Depends(_search(self._views, self._visitor))]
        router.add_api_route("/studies", self.studies, methods=["GET"], dependencies=searched)
        router.add_api_route("/studies/{study}/series", self.series, methods=["GET"], dependencies=seen)
        path = "/studies/{study}/series/{series}/instances"
        router.add_api_route(path, self.instances, methods=["GET"], dependencies=seen)

    async def studies(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        """Return the studies that we hold, the last received first."""
        if unknown := sorted(set(request.query_params) - SEARCHED):
            raise HTTPException(400, f"studies are not searched by {', '.join(unknown)[:100]}")
        answers = []
        for held in await self._retrieval.studies(_wanted(request), limit=limit, offset=offset):
            members = await self._retrieval.held(held.study_instance_uid)
            answer = await self._retrieval.attributes_of_any(members, STUDY_KEYWORDS)
            answers.append(answer | _counted("00201206", held.series) | _counted("00201208", held.instances))
        return _json(request, answers)

    async def series(self, request: Request, study: Uid) -> Response:
        """Return the series of a study."""
        by_series: dict[str, list[HeldInstance]] = {}
        for held in await self._retrieval.held(parse_uid(study)):
            by_series.setdefault(held.series_instance_uid, []).append(held)
        answers = [
            await self._retrieval.attributes_of_any(members, SERIES_KEYWORDS) | _counted("00201209", len(members))
            for members in by_series.values()
        ]
        return _json(request, answers)

    async def instances(
        self,
        request: Request,
        study: Uid,
        series: Uid,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        """Return the instances of a series."""
        found = await self._retrieval.held(parse_uid(study), parse_uid(series))
        page = found[offset : offset + limit]
        return _json(request, [await self._retrieval.attributes(held, INSTANCE_KEYWORDS) for held in page])


def _look(views: Views, visitor_dependency: Any) -> Any:
    """Return the dependency that records a look at the study of the address."""

    async def looked(study: Uid, visitor: Annotated[Visitor, Depends(visitor_dependency)]) -> None:
        await views.record(visitor, study)

    return looked


def _search(views: Views, visitor_dependency: Any) -> Any:
    """Return the dependency that records a search among studies."""

    async def searched(request: Request, visitor: Annotated[Visitor, Depends(visitor_dependency)]) -> None:
        await views.record_search(visitor, _wanted(request))

    return searched


def _wanted(request: Request) -> str | None:
    """Return the study that is searched for, None for any; raise `Malformed` for what is no UID."""
    named = request.query_params.get("StudyInstanceUID") or request.query_params.get("0020000D")
    return parse_uid(named) if named else None


def _json(request: Request, answers: list[dict[str, Any]]) -> Response:
    media_type = media_types.json_type(request.headers.get("accept", ""))
    if media_type is None:
        raise HTTPException(406, f"a search is answered as {media_types.DICOM_JSON}")
    return Response(json_bytes(answers), media_type=media_type, headers={"Cache-Control": "private, no-cache"})


def _counted(tag: str, number: int) -> dict[str, Any]:
    return {tag: {"vr": "IS", "Value": [number]}}


def _headers(boundary: str, part_type: str, tag: str) -> dict[str, str]:
    content_type = f'multipart/related; type="{part_type}"; boundary={boundary}'
    return {"Content-Type": content_type, "ETag": tag, "Cache-Control": CACHED, "Vary": "Accept"}


def _part(boundary: str, content_type: str, contents: Iterable[bytes]) -> bytes:
    return _beginning(boundary, content_type) + b"".join(contents) + b"\r\n"


def _beginning(boundary: str, content_type: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


async def _streamed(boundary: str, content_type: str, content: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield _beginning(boundary, content_type)
    async for piece in iterate_in_threadpool(content):
        yield piece
    yield b"\r\n" + _end(boundary)


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": CACHED, "Vary": "Accept"})


def _only_stored(held: HeldInstance) -> str:
    return f"it is stored as {held.transfer_syntax_uid}, and nothing is transcoded: accept transfer-syntax=*"


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"Retry-After": "1"} if status == 503 else {}
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)
