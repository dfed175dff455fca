"""At start the duplicate guard learns from the topic's tail what this link has taken: a restart forgets no control ID."""

import asyncio
import contextlib

from overread.contracts import codec
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.intake import Intake
from overread.runtime.clock import Clock
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import log
from overread.runtime.topic_reader import tail


async def warm(intake: Intake, settings: ServiceSettings, clock: Clock) -> None:
    """Return when the guard knows the link's tail, or when the time for it is over; the log says which.

    A guard that knows less only lets a repeat through: its event has the same id, and assembly's unique keys bind.
    """
    link = intake.link
    try:
        async with asyncio.timeout(link.warm_seconds):
            await _recall(intake, settings, clock)
    except (TimeoutError, Unavailable) as reason:
        log.warning("warming_gave_up", link=link.link_id, known=len(intake.guard), reason=type(reason).__name__)
    else:
        log.info("warmed", link=link.link_id, known=len(intake.guard))


async def _recall(intake: Intake, settings: ServiceSettings, clock: Clock) -> None:
    link = intake.link
    newest_first = tail(
        settings,
        HL7_RECEIVED.name,
        link.link_id.encode(),
        most=min(link.warm_entries, link.duplicate_entries),
        since=clock() - link.duplicate_window,
    )
    async with contextlib.aclosing(newest_first) as records:
        async for record in records:
            with contextlib.suppress(Malformed):
                event = codec.decode(record, (HL7Received,))
                if isinstance(event.data, HL7Received) and event.site_id == settings.site_id:
                    intake.recall(event.data)
