"""After a restart a link's first statement waits until it is known from the topic's tail what the link sent before."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Protocol

from overread.contracts import codec
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.order_statements import OrderReceived
from overread.contracts.topics import ORDERS_RECEIVED
from overread.order_intake.settings import OrderIntakeSettings
from overread.runtime.clock import Clock
from overread.runtime.telemetry import log
from overread.runtime.topic_reader import tail


class Recalling(Protocol):
    """Who wants to know again what a link sent."""

    def recall(self, received: OrderReceived) -> None:
        """Know one statement again; they come newest first."""


async def warm(
    recalling: Recalling,
    link_id: str,
    settings: OrderIntakeSettings,
    clock: Clock,
    window: timedelta | None = None,
) -> None:
    """Return when the link's tail is known, or when the time for it is over; the log says which.

    Who knows less only lets a repeat through: its event has the same id, and assembly's unique keys bind.
    """
    try:
        async with asyncio.timeout(settings.order_warm_seconds):
            await _recall(recalling, link_id, settings, clock() - (window or settings.order_repeat_window))
    except (TimeoutError, Unavailable) as reason:
        log.warning("warming_gave_up", link=link_id, reason=type(reason).__name__)


async def _recall(recalling: Recalling, link_id: str, settings: OrderIntakeSettings, since: datetime) -> None:
    newest_first = tail(
        settings,
        ORDERS_RECEIVED.name,
        link_id.encode(),
        most=settings.order_warm_entries,
        since=since,
    )
    async with contextlib.aclosing(newest_first) as records:
        async for record in records:
            with contextlib.suppress(Malformed):
                event = codec.decode(record, (OrderReceived,))
                if isinstance(event.data, OrderReceived) and event.site_id == settings.site_id:
                    recalling.recall(event.data)
