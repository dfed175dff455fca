"""`overread dead show` and `overread dead fix`: an HL7 message that was set aside, in words, and a mended one in its place."""

import argparse
import asyncio
import base64
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

import asyncpg

from overread.assembly import message_fixing, message_store, message_text
from overread.assembly.message_fixing import Mended
from overread.cli import options
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.audit import Recorded
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import AUDIT_RECORDED, HL7_RECEIVED
from overread.embedded.endpoints import Endpoints
from overread.protocols.hl7.explain import ExplainedSegment
from overread.protocols.hl7.message_files import as_sent, cut
from overread.runtime.clock import utc_now
from overread.runtime.database import away_as_unavailable
from overread.runtime.dead_letters import DeadLetter
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from overread.runtime.database import Connection

T = TypeVar("T")
Find = Callable[[argparse.Namespace], Awaitable[DeadLetter]]
"""Finds the letter at `told.place`, or says that there is none."""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]", find: Find) -> None:
    """Add both actions."""
    showing = actions.add_parser("show", help="say an HL7 message that was set aside in words, and why")
    showing.add_argument("--show-patient", action="store_true", help="show the patient too; it is recorded who looked")
    showing.add_argument("--raw", type=Path, metavar="FILE", help="write the bytes to FILE, to mend them; recorded too")
    fixing = actions.add_parser("fix", help="let a mended message stand for one that was set aside, once")
    fixing.add_argument("--file", type=Path, required=True, metavar="FILE", help="the mended message")
    fixing.add_argument("--reason", required=True, help="why, for the audit; without the patient")
    for action, run in ((showing, _run_show), (fixing, _run_fix)):
        action.add_argument("place", help="as `dead list` shows it: hl7.received.dead/PARTITION/OFFSET")
        options.add_data(action)
        action.set_defaults(run=lambda told, run=run: asyncio.run(run(told, find)))


async def answered(endpoints: Endpoints) -> dict[UUID, UUID]:
    """Return which messages were mended, each with the event of the one that stands for it."""
    return await _in_assembly(endpoints, lambda tx: message_store.answered(tx.connection, tx.site_id))


async def refuse_mended(endpoints: Endpoints, letters: Mapping[str, DeadLetter]) -> None:
    """Say so when another message stands for one of `letters`: assembly would leave it unused."""
    events = {place: event.id for place, letter in letters.items() if (event := event_of(letter))}
    known = await answered(endpoints) if events else {}
    for place, event_id in events.items():
        if event_id in known:
            raise OverreadError(f"{place} was mended: {known[event_id]} stands for it. Nothing was given back")


def event_of(letter: DeadLetter) -> Event[HL7Received] | None:
    """Return the message's event in a dead letter of `hl7.received`; None in any other."""
    if letter.again.topic != HL7_RECEIVED.name:
        return None
    try:
        return codec.decode(letter.record.value, HL7_RECEIVED.bodies)  # type: ignore[return-value]  # the topic has one body
    except Malformed:
        return None


async def _run_show(told: argparse.Namespace, find: Find) -> int:
    letter = await find(told)
    event, raw = await _message(told, letter)
    if told.show_patient or told.raw:
        await _in_assembly(Endpoints.of(told.data), lambda tx: _note_look(tx, event.id))
    if told.raw:
        told.raw.write_bytes(raw)
    segments = message_text.explained(raw, event.data.fallback_charset, shows_patient=told.show_patient)
    sys.stdout.writelines(f"{line}\n" for line in _lines(letter, event, segments))
    return 0


async def _run_fix(told: argparse.Namespace, find: Find) -> int:
    endpoints = Endpoints.of(told.data)
    event, original = await _message(told, await find(told))
    found = cut(told.file.read_bytes()).messages
    if len(found) != 1:
        raise OverreadError(f"{told.file} holds {len(found)} messages: one stands for one")
    mended = Mended(
        event=event, original=original, raw=as_sent(found[0]), requested_by=_who(), reason=" ".join(told.reason.split())
    )
    message_fixing.check(mended, ServiceSettings().time_zone)
    object_key = await message_fixing.stored(mended, LocalObjectStore(endpoints.objects).put)
    event_id = await _in_assembly(endpoints, lambda tx: message_fixing.request(tx, mended, object_key))
    sys.stdout.write(f"{told.place}  is answered by {event_id}\n")
    return 0


async def _message(told: argparse.Namespace, letter: DeadLetter) -> tuple[Event[HL7Received], bytes]:
    event = event_of(letter)
    if event is None:
        raise OverreadError(f"{letter.place} holds no HL7 message that can be read: it can be replayed, not mended")
    if event.data.raw_base64 is not None:
        return event, base64.b64decode(event.data.raw_base64)
    return event, await LocalObjectStore(Endpoints.of(told.data).objects).get(event.data.object_key or "")


def _lines(letter: DeadLetter, event: Event[HL7Received], segments: Sequence[ExplainedSegment]) -> Iterator[str]:
    yield f"{letter.place}  event {event.id}  link {event.data.link_id}  MSH-10 {event.data.message_control_id}"
    yield f"set aside by {letter.consumer} ({letter.kind}): {letter.reason}"
    for segment in segments:
        yield f"{segment.name}  {segment.title}".rstrip()
        for field in segment.fields:
            yield f"  {field.place:8}{field.name:38}  {' | '.join(field.values)}"


async def _note_look(tx: Transaction, event_id: UUID) -> None:
    body = Recorded(
        actor=_who(),
        action="view",
        object_type="HL7 message",
        object_id=str(event_id),
        outcome="done",
        recorded_at=tx.clock(),
        detail="",
        case_id=None,
    )
    tx.publish(AUDIT_RECORDED, body, subject=str(event_id), own_key=str(uuid4()), caused_by=None)


def _who() -> str:
    return f"uid {os.getuid()} (command line)"


async def _in_assembly(endpoints: Endpoints, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Do `work` in one transaction of assembly's role; what it says leaves by assembly's own relay."""
    try:
        pool = await asyncpg.create_pool(endpoints.dsn("assembly"), min_size=1, max_size=1, timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    async with away_as_unavailable(), pool, pool.acquire() as connection, connection.transaction():
        tx = _transaction(endpoints.site_id, connection)
        done = await work(tx)
        await tx.write_outbox()
        return done


def _transaction(site_id: str, connection: "Connection") -> Transaction:
    return Transaction(service="assembly", site_id=site_id, clock=utc_now, connection=connection)
