"""The right to judge and to send: a lock that lives as long as its connection, and what is done under it alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from overread.delivery import sending_store
from overread.delivery.store import OutboundRow
from overread.delivery.together import Together
from overread.runtime.database import away_as_unavailable

if TYPE_CHECKING:
    from overread.runtime.database import Connection, Pool

STANDBY_SECONDS = 86_400.0


class RightToSend:
    """Held by one process at a time. What a lost connection would let two do is asked of that connection itself."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._marking: Together[OutboundRow, bool] = Together(self._mark_all)

    async def require(self) -> None:
        """Raise `Unavailable` when the connection, and with it the right, is lost."""
        async with self._turn, away_as_unavailable():
            await self._connection.fetchval("SELECT 1")

    async def mark_sending(self, row: OutboundRow) -> bool:
        """Keep that the message is about to leave; after a crash it leaves again.

        False when it has ended meanwhile: another process had the right in between, and it must not leave any more. What
        the senders of several destinations mark in the same moment is one statement on the connection that holds the right.
        """
        return await self._marking.ask(row)

    async def _mark_all(self, rows: Sequence[OutboundRow]) -> Sequence[bool]:
        async with self._turn:
            return await sending_store.mark_sending(self._connection, rows)


@asynccontextmanager
async def sole_dispatcher(pool: "Pool", on_work: Callable[[], None]) -> AsyncIterator[RightToSend]:
    """Wait to be the one process that judges and sends, and hear of new rows while inside.

    The lock lives as long as the connection: when the connection is lost, so is the right to send.
    """
    async with away_as_unavailable(), pool.acquire() as connection:
        schema = await connection.fetchval("SELECT current_schema()")
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"{schema}.dispatch", timeout=STANDBY_SECONDS)

        def heard(*_notification: object) -> None:
            on_work()

        await connection.add_listener(f"work_{schema}", heard)
        try:
            yield RightToSend(connection)
        finally:
            if not connection.is_closed():
                await connection.remove_listener(f"work_{schema}", heard)
                await connection.execute("SELECT pg_advisory_unlock_all()")
