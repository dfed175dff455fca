"""One relay a schema: unpublished rows in order of id, published, acknowledged, removed."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from overread.contracts.errors import Malformed, Unavailable
from overread.runtime.database import away_as_unavailable
from overread.runtime.inbox import headers_from_json
from overread.runtime.publisher import Outgoing, Publisher
from overread.runtime.telemetry import OUTBOX_REFUSED, OUTBOX_WAITING, log

if TYPE_CHECKING:
    from asyncpg import Record

    from overread.runtime.database import Connection, Pool

BATCH_ROWS = 500
IDLE_SECONDS = 1.0
RETRY_SECONDS = 0.5


class OutboxRelay:
    """Publishes the outbox of this role's schema; an advisory lock keeps it to one relay however many processes."""

    def __init__(self, pool: "Pool", publisher: Publisher) -> None:
        self._pool = pool
        self._publisher = publisher
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled; a dependency that is away is waited for."""
        while True:
            try:
                async with away_as_unavailable(), self._pool.acquire() as connection:
                    await self._relay_while_connected(connection)
            except Unavailable as away:
                log.warning("outbox_waits", reason=str(away))
            except Exception:  # noqa: BLE001 - our bug, but a relay that ended would keep every event back in silence
                log.exception("outbox_failed")
            await asyncio.sleep(RETRY_SECONDS)

    async def _relay_while_connected(self, connection: "Connection") -> None:
        schema = await connection.fetchval("SELECT current_schema()")
        lock = "SELECT pg_try_advisory_lock(hashtext($1))"
        while not await connection.fetchval(lock, f"{schema}.outbox"):  # noqa: ASYNC110 - a lock of another process
            await asyncio.sleep(IDLE_SECONDS)
        await connection.add_listener(f"outbox_{schema}", self._wake)
        try:
            while True:
                self._woken.clear()
                if await self._relay_batch(connection) < BATCH_ROWS:
                    await self._wait()
        finally:
            if not connection.is_closed():
                await connection.remove_listener(f"outbox_{schema}", self._wake)
                await connection.execute("SELECT pg_advisory_unlock_all()")

    async def _relay_batch(self, connection: "Connection") -> int:
        rows = await connection.fetch(
            "SELECT id, topic, key, value, headers FROM outbox WHERE refused_because IS NULL ORDER BY id LIMIT $1",
            BATCH_ROWS,
        )
        OUTBOX_WAITING.set(len(rows))
        if rows:
            await self._relay_rows(connection, rows)
        return len(rows)

    async def _relay_rows(self, connection: "Connection", rows: "Sequence[Record]") -> None:
        try:
            await self._publisher.publish([_outgoing(row) for row in rows])
        except Malformed as refusal:
            await self._relay_without_refused(connection, rows, str(refusal))
        else:
            await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [r["id"] for r in rows])

    async def _relay_without_refused(self, connection: "Connection", rows: "Sequence[Record]", reason: str) -> None:
        """Find the row that the broker will never take, by halves: it stays, marked; the others leave in order."""
        if len(rows) > 1:
            middle = len(rows) // 2
            await self._relay_rows(connection, rows[:middle])
            await self._relay_rows(connection, rows[middle:])
            return
        [row] = rows
        await connection.execute("UPDATE outbox SET refused_because = $2 WHERE id = $1", row["id"], reason)
        OUTBOX_REFUSED.labels(row["topic"]).inc()
        log.error("outbox_row_refused", row=row["id"], topic=row["topic"], reason=reason)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return

    def _wake(self, *_notification: Any) -> None:
        self._woken.set()


def _outgoing(row: "Record") -> Outgoing:
    return Outgoing(row["topic"], row["key"], row["value"], headers_from_json(row["headers"]))
