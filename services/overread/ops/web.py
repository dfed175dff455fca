"""The operator's routes; every one asks for the front's pass. Nothing here is about a patient, and nothing changes."""

import asyncio
from collections import defaultdict, deque
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from overread.archive.queries import ArchiveQueries
from overread.contracts import codec
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.topics import HL7_RECEIVED, TOPICS
from overread.ops.flow_view import FlowView, flow_view
from overread.ops.links import WHO_MAY_LOOK, Links
from overread.ops.rates import SHORTEST, Rates
from overread.ops.settings import OpsSettings
from overread.runtime.dead_letters import DeadLetter, letter_at, letters
from overread.runtime.flow import FlowReader
from overread.runtime.health import readiness_at
from overread.runtime.passes import invalid, visitor_with
from overread.runtime.service import Service

OPERATORS = frozenset({"ops"})
DEAD_TOPICS = frozenset(topic.dead_name for topic in TOPICS)


class ServiceView(BaseModel):
    """Whether a service is ready, and what it waits for."""

    name: str
    ready: bool
    answered: bool
    failing: dict[str, str]


class ServicesView(BaseModel):
    """The health of every service of this installation."""

    at: datetime
    services: list[ServiceView]


class LetterView(BaseModel):
    """One dead letter: where it lies, where it came from, whose it is, and why it was set aside."""

    place: str
    topic: str
    source: str
    partition: int
    offset: int
    kind: str
    reason: str
    consumer: str
    replay_attempt: int
    may_replay: bool


class OneLetterView(LetterView):
    """A dead letter that was asked for alone; `event_id` is an HL7 message's, which assembly's index knows by it."""

    event_id: UUID | None


class ObjectView(BaseModel):
    """One stored object that could not be told of; it is tried again at each restart of an intake."""

    object_key: str
    reason: str
    at: datetime


class DeadView(BaseModel):
    """What was set aside."""

    items: list[LetterView]
    objects: list[ObjectView]
    total: int


def build(service: Service, settings: OpsSettings, flow: FlowReader, archive: ArchiveQueries) -> FastAPI:
    """Return the app; it is reached through the front alone."""
    app = FastAPI(title="Overread operations", openapi_url=None, docs_url=None, redoc_url=None)
    router = _router_for(OPERATORS, service, settings)
    _Flowing(service, flow).add_to(router)
    _Operations(service, settings, archive).add_to(router)
    links = _router_for(WHO_MAY_LOOK, service, settings)
    Links(service, settings).add_to(links)
    app.include_router(links)
    app.include_router(router)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, invalid)
    return app


def _router_for(roles: frozenset[str], service: Service, settings: OpsSettings) -> APIRouter:
    """Return a router whose routes let in who has one of `roles`."""
    visitor = visitor_with(
        roles,
        audience="ops",
        secret=settings.front_secret.get_secret_value().encode(),
        site_id=settings.site_id,
        clock=service.clock,
    )
    return APIRouter(prefix="/ops", dependencies=[Depends(visitor)])


class _Flowing:
    """How the topics flow, with rates from look to look."""

    def __init__(self, service: Service, flow: FlowReader) -> None:
        self._service = service
        self._flow = flow
        self._rates = Rates()

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/flow", self.flow, methods=["GET"])

    async def flow(self) -> FlowView:
        """Return the flow; the first look takes a second, to have something to compare with."""
        now = await self._flow.flow(self._service.clock())
        rates = self._rates.after(now)
        if rates is None:
            await asyncio.sleep(SHORTEST.total_seconds())
            now = await self._flow.flow(self._service.clock())
            rates = self._rates.after(now) or {}
        return flow_view(now, rates)


class _Operations:
    """Health of the services, and what was set aside."""

    def __init__(self, service: Service, settings: OpsSettings, archive: ArchiveQueries) -> None:
        self._service = service
        self._settings = settings
        self._archive = archive

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/services", self.services, methods=["GET"])
        router.add_api_route("/dead", self.dead, methods=["GET"])
        router.add_api_route("/dead/{topic}/{partition}/{offset}", self.dead_letter, methods=["GET"])

    async def services(self) -> ServicesView:
        """Ask each service at its own socket whether it is ready."""
        watched = self._settings.watched
        answers = await asyncio.gather(*(asyncio.to_thread(readiness_at, socket) for socket in watched.values()))
        services = [
            ServiceView(name=name, ready=answer == {}, answered=answer is not None, failing=dict(answer or {}))
            for name, answer in zip(watched, answers, strict=True)
        ]
        return ServicesView(at=self._service.clock(), services=services)

    async def dead(self, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> DeadView:
        """Return what was set aside: the newest dead letters of each topic, and objects that could not be told of."""
        newest: dict[str, deque[LetterView]] = defaultdict(lambda: deque(maxlen=limit))
        total = 0
        async for letter in letters(self._settings, sorted(DEAD_TOPICS)):
            total += 1
            newest[letter.record.topic].append(_letter_view(letter))
        objects = [
            ObjectView(object_key=aside.object_key, reason=aside.reason, at=aside.at)
            for aside in await self._archive.set_aside()
        ]
        return DeadView(items=[view for views in newest.values() for view in views], objects=objects, total=total)

    async def dead_letter(
        self,
        topic: Annotated[str, Path(max_length=64)],
        partition: Annotated[int, Path(ge=0, le=10_000)],
        offset: Annotated[int, Path(ge=0, le=2**62)],
    ) -> OneLetterView:
        """Return the dead letter that lies in that place."""
        letter = await letter_at(self._settings, topic, partition, offset) if topic in DEAD_TOPICS else None
        if letter is None:
            raise HTTPException(404, "no dead letter lies there")
        return OneLetterView(**dict(_letter_view(letter)), event_id=_message_in(letter))


def _letter_view(letter: DeadLetter) -> LetterView:
    """Return a letter without any of its content, which may be a patient's."""
    return LetterView(
        place=letter.place,
        topic=letter.record.topic,
        source=f"{letter.again.topic}/{letter.again.partition}/{letter.again.offset}",
        partition=letter.record.partition,
        offset=letter.record.offset,
        kind=letter.kind,
        reason=letter.reason,
        consumer=letter.consumer,
        replay_attempt=letter.record.replay_attempt,
        may_replay=bool(letter.consumer),
    )


def _message_in(letter: DeadLetter) -> UUID | None:
    if letter.again.topic != HL7_RECEIVED.name:
        return None
    try:
        return codec.decode(letter.record.value, HL7_RECEIVED.bodies).id
    except Malformed:
        return None


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503, headers={"Retry-After": "1"})
