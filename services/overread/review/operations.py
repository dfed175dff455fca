"""An operator gives dead letters back: the one change among the operator's routes, and it is recorded."""

import contextlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from overread.contracts.errors import Unavailable
from overread.contracts.events.operations import ReplayRequested
from overread.contracts.topics import REPLAYS_REQUESTED
from overread.review import audit
from overread.review.access import Reader, TheDesk
from overread.review.identity import Identity
from overread.review.passing import Front
from overread.review.problems import RESPONSES
from overread.review.refusals import Mended, NotFound
from overread.runtime.inbox import Transaction

Place = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}/[0-9]{1,5}/[0-9]{1,18}$")]

router = APIRouter(prefix="/ops", tags=["ops"], responses=RESPONSES)


class Replay(BaseModel):
    """Which dead letters are given back, each by its place as `GET /ops/dead` names it."""

    places: Annotated[list[Place], Field(min_length=1, max_length=100)]


class GivenBack(BaseModel):
    """One dead letter on its way back to the service that set it aside."""

    place: str
    consumer: str


class ReplayView(BaseModel):
    """What was given back."""

    given_back: list[GivenBack]


class _Letter(BaseModel):
    topic: str
    partition: int
    offset: int
    consumer: str
    event_id: UUID | None = None


@router.post("/dead/replay")
async def replay(request: Request, desk: TheDesk, reader: Reader, asked: Replay) -> ReplayView:
    """Ask the service that set each letter aside to take it once more; asking twice is one request."""
    reader.must_operate()
    front: Front = request.app.state.front
    found = {place: await _letter(front, place, reader) for place in dict.fromkeys(asked.places)}
    for place, letter in found.items():
        await _refuse_mended(front, place, letter, reader)
    async with desk.service.transaction() as tx:
        for place, letter in found.items():
            _ask(tx, place, letter, reader.subject)
    return ReplayView(given_back=[GivenBack(place=p, consumer=letter.consumer) for p, letter in found.items()])


async def _letter(front: Front, place: str, reader: Identity) -> _Letter:
    answer = await front.ask("ops", f"/ops/dead/{place}", reader)
    if answer is None:
        raise NotFound(f"no dead letter lies at {place}")
    return _Letter.model_validate(answer)


async def _refuse_mended(front: Front, place: str, letter: _Letter, reader: Identity) -> None:
    """Raise `Mended` where assembly says that another message stands for this one.

    While assembly does not answer it is asked for all the same: assembly leaves unused what was mended.
    """
    answer = None
    if letter.event_id is not None:
        with contextlib.suppress(Unavailable):
            answer = await front.ask("assembly", f"/messages/{letter.event_id}", reader)
    if answer and answer["message"]["answered_by"]:
        raise Mended(f"{answer['message']['answered_by']} stands for what lies at {place}")


def _ask(tx: Transaction, place: str, letter: _Letter, requested_by: str) -> None:
    body = ReplayRequested(
        consumer=letter.consumer,
        dead_topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        requested_by=requested_by,
        requested_at=tx.clock(),
    )
    tx.publish(REPLAYS_REQUESTED, body, subject=place, own_key=place, caused_by=None)
    audit.record(tx, actor=requested_by, action="replay", object_type="dead letter", object_id=place)
