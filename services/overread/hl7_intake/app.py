"""HL7 intake: takes HL7 v2 messages over MLLP, and answers when they are kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from overread.contracts.errors import Unavailable
from overread.hl7_intake.intake import Intake
from overread.hl7_intake.listener import Listener
from overread.hl7_intake.settings import HL7IntakeSettings
from overread.hl7_intake.warming import warm
from overread.runtime.clock import Clock
from overread.runtime.group_commit import GroupCommit
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.service import Service
from overread.runtime.tls import server_context

ROOM_SECONDS = 1.0
"""How often the free space of the disk is looked at."""


def make_service(settings: HL7IntakeSettings) -> Service:
    """Wire the intake; it owns no state and consumes nothing; what it took before is read back from the topic."""
    publisher = KafkaPublisher(settings)
    service = Service("hl7_intake", settings, publisher=publisher)
    objects = LocalObjectStore(settings.objects_folder, low_watermark_bytes=settings.least_free_bytes)
    intake = Intake(settings, settings.mllp_link, GroupCommit(publisher).enqueue, objects, service.clock)
    service.runs(lambda: _watch_room(intake, objects))
    service.serves(lambda: _listening(intake, settings, service.clock))
    service.health.register("object store", objects.ping)
    return service


async def _watch_room(intake: Intake, objects: LocalObjectStore) -> None:
    """Refuse while the disk is at its watermark: the broker's log fills it too, and must not meet its end."""
    while True:
        try:
            await objects.ping()
        except Unavailable as full:
            intake.refuse_all(full)
        else:
            intake.refuse_all(None)
        await asyncio.sleep(ROOM_SECONDS)


@asynccontextmanager
async def _listening(intake: Intake, settings: HL7IntakeSettings, clock: Clock) -> AsyncIterator[None]:
    """Listen once the guard knows what was taken before."""
    listener = Listener(intake)
    await warm(intake, settings, clock)
    tls = await asyncio.to_thread(
        server_context, settings.mllp_tls_certificate, settings.mllp_tls_key, settings.mllp_tls_client_ca
    )
    try:
        await listener.start(settings.mllp_host, settings.mllp_port + settings.port_offset)
        if tls is not None:
            await listener.start(settings.mllp_host, settings.mllp_tls_port + settings.port_offset, tls)
        yield
    finally:
        await listener.stop()


def main() -> None:
    """Run the intake until it is told to stop."""
    make_service(HL7IntakeSettings()).run()
