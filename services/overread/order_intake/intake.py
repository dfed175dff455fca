"""What becomes of one statement about an order: judged, published, and only then answered: acknowledged means kept."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.order_statements import OrderForm, OrderReceived, OrderStatement
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import ORDERS_RECEIVED
from overread.order_intake.checks import check
from overread.order_intake.control_characters import must_be_text
from overread.order_intake.repeats import Key, Repeats, Taken
from overread.order_intake.settings import OrderIntakeSettings
from overread.runtime.clock import Clock
from overread.runtime.group_commit import OnKept
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import ORDERS_TAKEN, log, new_traceparent

CLAIM_CHECK_BYTES = 64 * 1024
"""Larger bytes are stored as an object that the event names; the statement beside them must fit too."""


MOST_LINKS = 10_000
"""So many links are known to have been read back; the oldest is read back again if it speaks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A statement is kept: its event, when it came first, and whether it was kept before."""

    event_id: UUID
    received_at: datetime
    is_repeat: bool


class ReusedMessageId(Malformed):
    """The message id was used for another statement: send this one under a new id."""


class TooManyWaiting(Unavailable):
    """Too many orders wait to be kept: send this one again in a moment."""


class Enqueue(Protocol):
    """How a record leaves: it has its place in the order when this returns; `on_kept` is told later."""

    def __call__(self, record: Outgoing, on_kept: OnKept) -> None:
        """Queue the record, and tell `on_kept` once what became of it; raise `Unavailable` or `Malformed` at once."""


class Objects(Protocol):
    """Where large bytes go."""

    async def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Return when the object is on synced disk; `Unavailable` when there is no room."""


Recall = Callable[["Intake", str], Awaitable[None]]
"""Tells an intake what a link sent before this start."""


class Intake:
    """All links: what they say, and what they have said under which message id."""

    def __init__(
        self, settings: OrderIntakeSettings, enqueue: Enqueue, objects: Objects, clock: Clock, recall: Recall
    ) -> None:
        self._site_id = settings.site_id
        self._enqueue = enqueue
        self._objects = objects
        self._clock = clock
        self._recall = recall
        self._recalled: dict[str, asyncio.Task[None]] = {}
        self._in_flight: dict[Key, tuple[str, asyncio.Future[Answer]]] = {}
        self._refuses_for: Unavailable | None = None
        self._most_waiting = settings.order_most_waiting
        self._repeats = Repeats(settings.order_repeat_window, settings.order_repeat_entries)

    async def keep(
        self,
        statement: OrderStatement,
        raw: bytes,
        *,
        form: OrderForm,
        media_type: str,
        link_id: str,
        message_id: str,
        said: bytes | None = None,
    ) -> Answer:
        """Return once the statement is kept: by every in-sync replica, after its flush.

        `said` is what a repeat is known by, where that is not `raw` to the byte: the same written one way.

        Raise `NotAnOrder` with its faults, `ReusedMessageId`, or `Unavailable` when it could not be kept: then it is to
        be sent again. Calls that are begun one after another for one link keep their order.
        """
        self.judge(statement)
        must_be_text(statement, message_id)
        await self._know(link_id)
        key, digest = (link_id, message_id), codec.sha256(raw if said is None else said)
        if (known := self._known(key, digest)) is not None:
            return await known
        if self._refuses_for is not None:
            raise self._refuses_for
        if len(self._in_flight) >= self._most_waiting:
            raise TooManyWaiting
        received = OrderReceived(
            link_id=link_id,
            form=form,
            media_type=media_type,
            message_id=message_id,
            digest=digest,
            received_at=self._clock(),
            statement=statement,
            raw_base64=base64.b64encode(raw).decode("ascii") if len(raw) <= CLAIM_CHECK_BYTES else None,
            object_key=f"{self._site_id}/orders/{codec.sha256(raw)}" if len(raw) > CLAIM_CHECK_BYTES else None,
        )
        return await self._take(key, received, raw)

    def judge(self, statement: OrderStatement) -> None:
        """Raise `NotAnOrder` with every fault of a statement that comes now; `keep` does so too."""
        check(statement, self._clock())

    def first_answer(self, link_id: str, message_id: str) -> Answer | None:
        """Return the answer to what was first kept under a message id, None while nothing is."""
        key = (link_id, message_id)
        taken = self._repeats.taken_as(key, self._clock())
        return taken and Answer(
            event_id=self._event_id(key, taken.digest), received_at=taken.received_at, is_repeat=True
        )

    def refuse_all(self, reason: Unavailable | None) -> None:
        """Refuse what is new for `reason`, None to take it again; who repeats what was kept still hears so."""
        if (reason is None) is not (self._refuses_for is None):
            log.warning("disk_watermark", takes=reason is None)
        self._refuses_for = reason

    def recall(self, received: OrderReceived) -> None:
        """Know again a statement that was taken before this start; newest first."""
        self._repeats.recall((received.link_id, received.message_id), Taken(received.digest, received.received_at))

    async def _know(self, link_id: str) -> None:
        """Return once what the link sent before this start is known; all who ask meanwhile wait for one reading."""
        recalled = self._recalled.get(link_id)
        if recalled is None:
            if len(self._recalled) >= MOST_LINKS:  # who makes up a name for each record must not fill the memory
                self._recalled.pop(next(iter(self._recalled)))
            recalled = self._recalled[link_id] = asyncio.ensure_future(self._recall(self, link_id))
        if not recalled.done():
            await asyncio.shield(recalled)

    def _known(self, key: Key, digest: str) -> Awaitable[Answer] | None:
        """Return the first answer to a repeat, None for what is to be published; raise `ReusedMessageId`."""
        flying = self._in_flight.get(key)
        taken = self._repeats.taken_as(key, self._clock())
        first = flying[0] if flying else taken.digest if taken else None
        if first is None:
            return None
        if first != digest:
            log.warning("message_id_reused", link=key[0])
            raise ReusedMessageId
        return _repeated(flying[1]) if flying else self._again(*key)

    async def _again(self, link_id: str, message_id: str) -> Answer:
        first = self.first_answer(link_id, message_id)
        if first is None:
            raise Unavailable("what was kept under this id was just forgotten")
        return first

    async def _take(self, key: Key, received: OrderReceived, raw: bytes) -> Answer:
        """Publish, and answer when the broker has it; who waits for the same answer gets it too."""
        kept: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = (received.digest, kept)
        try:
            if received.object_key is not None:
                await self._objects.put(received.object_key, [raw])
            self._publish(key, received, kept)
        except BaseException as failure:
            self._land(key, kept, failure if isinstance(failure, OverreadError) else Unavailable("it was not kept"))
            raise
        return await asyncio.shield(kept)

    def _publish(self, key: Key, received: OrderReceived, kept: "asyncio.Future[Answer]") -> None:
        event = event_of(
            received,
            source="order_intake",
            time=received.received_at,
            subject=received.link_id,
            site_id=self._site_id,
            traceparent=new_traceparent(),
            own_key=received.message_id,
            event_id=self._event_id(key, received.digest),
        )
        answer = Answer(event_id=event.id, received_at=received.received_at, is_repeat=False)

        def on_kept(failure: OverreadError | None) -> None:
            if failure is None:
                self._repeats.remember(key, Taken(received.digest, received.received_at))
                ORDERS_TAKEN.labels(received.form.value).inc()
            self._land(key, kept, failure or answer)

        self._enqueue(Outgoing(ORDERS_RECEIVED.name, ORDERS_RECEIVED.key_of(event), codec.encode(event)), on_kept)

    def _land(self, key: Key, kept: "asyncio.Future[Answer]", end: Answer | OverreadError) -> None:
        self._in_flight.pop(key, None)
        if kept.done():
            return
        if isinstance(end, Answer):
            kept.set_result(end)
        else:
            log.warning("order_not_kept", link=key[0], failure=type(end).__name__)
            kept.set_exception(end)
            kept.exception()  # whoever waits hears it; with nobody waiting it is not an error of the loop

    def _event_id(self, key: Key, digest: str) -> UUID:
        return deterministic_id("order received", self._site_id, *key, digest)


async def _repeated(kept: "asyncio.Future[Answer]") -> Answer:
    first = await asyncio.shield(kept)
    return Answer(event_id=first.event_id, received_at=first.received_at, is_repeat=True)
