"""The rows of one destination in delivery's own tables, as its sender sees them."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from overread.contracts import topics
from overread.contracts.errors import Unavailable
from overread.contracts.events.deliveries import DeliveryDone, DeliveryOutcome
from overread.delivery import sending_store, store
from overread.delivery.breaker import Breaker
from overread.delivery.destinations import Destination
from overread.delivery.dispatch_store import RightToSend
from overread.delivery.large_messages import with_message
from overread.delivery.sending_store import Ending
from overread.delivery.together import Together
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import DELIVERIES_ENDED, DELIVERIES_HELD, DELIVERIES_OPEN

ROWS_AHEAD = 16
"""How many messages of different cases are read in one query; each is asked for anew before it leaves."""
COUNTED_EVERY = timedelta(seconds=1)
AFTER_A_DEFECT = timedelta(seconds=30)

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Endings:
    """How messages of every destination ended: what ends in the same moment is one transaction.

    With `spawn`, a task of the dispatch, an ending is kept beside the next message of another case.
    """

    def __init__(self, service: Service, spawn: Spawn | None = None) -> None:
        self._service = service
        self._spawn = spawn
        self._ending: Together[Ending, bool] = Together(self._end_all)

    @property
    def can_spawn(self) -> bool:
        """Say whether an ending may be kept beside what follows."""
        return self._spawn is not None

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do `work` beside what follows; when it fails, so does the dispatch."""
        if self._spawn is None:
            raise RuntimeError("nobody would hear of a failure")
        return self._spawn(work)

    async def end(self, ending: Ending) -> bool:
        """Keep how the message ended, and say so to the other services; False when it had ended before."""
        return await self._ending.ask(ending)

    async def _end_all(self, endings: Sequence[Ending]) -> Sequence[bool]:
        async with self._service.transaction() as tx:
            attempts = await sending_store.end_all(tx.connection, endings, tx.clock())
            for ending, tried in zip(endings, attempts, strict=True):
                if tried is not None:
                    publish_done(ending, tried, tx)
        return [tried is not None for tried in attempts]


class StoredOutbox:
    """The rows of one destination in delivery's own tables."""

    def __init__(
        self,
        service: Service,
        destination: Destination,
        right: RightToSend,
        objects: LocalObjectStore | None = None,
        endings: Endings | None = None,
    ) -> None:
        self._service = service
        self._destination = destination
        self._right = right
        self._objects = objects
        self._endings = endings or Endings(service)
        self._ahead: deque[store.OutboundRow] = deque()
        self._ending: list[asyncio.Task[None]] = []
        self._counted_at: datetime | None = None

    async def next_row(self) -> store.OutboundRow | None:
        """Return the message that is due, None when there is none; the same one until something becomes of it."""
        if not self._ahead:
            await self._all_ended()
            now = self._service.clock()
            found = await sending_store.due_rows(self._service.pool, *self._name, now, ROWS_AHEAD)
            self._ahead.extend(found)
            if not found:
                await self._count(now)
        return self._ahead[0] if self._ahead else None

    async def _all_ended(self) -> None:
        """Wait until no message is both acknowledged and open: it would be read as one that is due."""
        ending, self._ending = self._ending, []
        if ending:
            await asyncio.wait(ending)
        if any(task.cancelled() or task.exception() for task in ending):
            raise Unavailable("how a message ended could not be kept")

    @property
    def _name(self) -> tuple[str, str]:
        return self._destination.site_id or "", self._destination.name

    async def _count(self, now: datetime) -> None:
        if self._counted_at is not None and now - self._counted_at < COUNTED_EVERY:
            return
        waiting, held = await sending_store.open_and_held(self._service.pool, *self._name)
        DELIVERIES_OPEN.labels(self._destination.name).set(waiting)
        DELIVERIES_HELD.labels(self._destination.name).set(held)
        self._counted_at = now

    def _passed(self, row: store.OutboundRow) -> None:
        if self._ahead and self._ahead[0].delivery_id == row.delivery_id:
            self._ahead.popleft()

    async def with_message(self, row: store.OutboundRow) -> store.OutboundRow:
        """Return the row with its bytes, which are those that were rendered."""
        return await with_message(self._objects, row)

    async def mark_sending(self, row: store.OutboundRow) -> bool:
        """Keep that it is about to leave, by the right to send itself; False when it must not leave now."""
        self._passed(row)
        return await self._right.mark_sending(row)

    async def postpone(self, row: store.OutboundRow, delay: timedelta, why: store.Why) -> None:
        """Keep that it was not taken and when it is due again."""
        self._passed(row)
        await sending_store.postpone(self._service.pool, row, self._service.clock() + delay, why)

    async def hold(self, row: store.OutboundRow, why: store.Why) -> None:
        """Keep that it waits for an operator's word."""
        await sending_store.hold(self._service.pool, row, self._service.clock(), why)
        DELIVERIES_HELD.labels(row.destination).inc()

    async def is_overtaken(self, row: store.OutboundRow) -> bool:
        """Say whether a later message of the same report waits behind it."""
        return await sending_store.is_overtaken(self._service.pool, row)

    async def end(self, row: store.OutboundRow, outcome: DeliveryOutcome, why: store.Why) -> None:
        """Keep how it ended, and say so to the other services, without the receiver's own words.

        While messages of other cases are read ahead this goes on beside them; before more are read, it is done.
        """
        if not (self._ahead and self._endings.can_spawn):
            await self._end(row, outcome, why)
            return
        self._ending.append(self._endings.spawn(self._end_or_put_off(row, outcome, why)))

    async def _end_or_put_off(self, row: store.OutboundRow, outcome: DeliveryOutcome, why: store.Why) -> None:
        failed = await or_any_defect(self._end(row, outcome, why), delivery_id=str(row.delivery_id))
        if isinstance(failed, Defect):
            await self.postpone(row, AFTER_A_DEFECT, store.Why(reason=f"a defect of our own ({failed.name})"))

    async def _end(self, row: store.OutboundRow, outcome: DeliveryOutcome, why: store.Why) -> None:
        if await self._endings.end(Ending(row=row, outcome=outcome, why=why)):
            DELIVERIES_ENDED.labels(row.destination, outcome.value).inc()

    async def keep_state(self, breaker: Breaker) -> None:
        """Keep how the way to the destination is."""
        await sending_store.keep_state(self._service.pool, *self._name, breaker, self._service.clock())


def publish_done(ending: Ending, attempts: int, tx: Transaction) -> None:
    """Say to the other services how a message ended."""
    row = ending.row
    done = DeliveryDone(
        case_id=row.case_id,
        report_id=row.report_id,
        report_revision=row.report_revision,
        delivery_id=row.delivery_id,
        destination=row.destination,
        form=row.form,
        status=row.status.value,
        outcome=ending.outcome,
        reason=ending.why.reason,
        attempts=attempts,
        message_digest=row.message_digest,
        message_control_id=row.message_control_id,
        ended_at=tx.clock(),
    )
    own_key = f"{row.delivery_id}/{attempts}"
    tx.publish(topics.DELIVERIES_DONE, done, subject=str(row.delivery_id), own_key=own_key, caused_by=row.cause)
