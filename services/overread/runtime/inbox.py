"""The transaction a handler is given: effects, consumed event ids and outgoing events commit together."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from overread.contracts import codec
from overread.contracts.envelope import Body, Event, event_of
from overread.contracts.topics import Topic
from overread.runtime.clock import Clock
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import child_traceparent, new_traceparent

if TYPE_CHECKING:
    from overread.runtime.database import Connection


class Cause(Protocol):
    """What led to an event: the event consumed, or what a row kept of it for later."""

    @property
    def id(self) -> UUID:
        """Return the id of the event that led to this one."""

    @property
    def site_id(self) -> str:
        """Return its site."""

    @property
    def traceparent(self) -> str:
        """Return the trace it belongs to."""


class Transaction:
    """What one unit of work may touch: the service's own tables, and the events that leave when it commits.

    A service without a database is given one without a connection: its events are published when the handler returns,
    and its offset is committed after their acknowledgement.
    """

    def __init__(self, *, service: str, site_id: str, clock: Clock, connection: "Connection | None") -> None:
        self._service = service
        self._connection = connection
        self.site_id = site_id
        self.clock = clock
        self.outgoing: list[Outgoing] = []

    @property
    def connection(self) -> "Connection":
        """Return the open database transaction."""
        if self._connection is None:
            raise RuntimeError(f"{self._service} owns no state: there is no database transaction")
        return self._connection

    def publish(
        self,
        topic: Topic,
        data: Body,
        *,
        subject: str,
        own_key: str,
        caused_by: Cause | None,
        event_id: UUID | None = None,
    ) -> Event[Body]:
        """Let `data` leave on `topic` when the transaction commits; its id, unless given, follows from cause and `own_key`."""
        event = event_of(
            data,
            source=self._service,
            time=self.clock(),
            subject=subject,
            site_id=caused_by.site_id if caused_by else self.site_id,
            traceparent=child_traceparent(caused_by.traceparent) if caused_by else new_traceparent(),
            own_key=own_key,
            caused_by=caused_by.id if caused_by else None,
            event_id=event_id,
        )
        self.outgoing.append(Outgoing(topic.name, topic.key_of(event), codec.encode(event)))
        return event

    async def unseen(self, consumer: str, ids: Sequence[tuple[UUID, int]]) -> set[tuple[UUID, int]]:
        """Record (event id, replay attempt) as consumed; return those that were not recorded before."""
        rows = await self.connection.fetch(
            "INSERT INTO inbox (consumer, event_id, replay_attempt)"
            " SELECT $1, * FROM unnest($2::uuid[], $3::int[])"
            " ON CONFLICT DO NOTHING RETURNING event_id, replay_attempt",
            consumer,
            [event_id for event_id, _ in ids],
            [attempt for _, attempt in ids],
        )
        return {(UUID(str(row["event_id"])), row["replay_attempt"]) for row in rows}

    async def write_outbox(self) -> None:
        """Put the outgoing events into the outbox, in order, within this transaction."""
        if self.outgoing:
            await self.connection.executemany(
                "INSERT INTO outbox (topic, key, value, headers) VALUES ($1, $2, $3, $4)",
                [(r.topic, r.key, r.value, headers_to_json(r.headers)) for r in self.outgoing],
            )


def headers_to_json(headers: Sequence[tuple[str, bytes]]) -> str:
    """Return record headers as they are kept in the outbox."""
    return json.dumps([[name, value.decode("utf-8", "backslashreplace")] for name, value in headers])


def headers_from_json(raw: Any) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that `headers_to_json` wrote."""
    return tuple((name, value.encode()) for name, value in json.loads(raw))
