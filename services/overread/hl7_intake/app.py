"""HL7 intake: takes HL7 v2 messages over MLLP, and answers when they are kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from overread.contracts.errors import Unavailable
from overread.contracts.topics import CORRECTIONS_REQUESTED
from overread.hl7_intake.corrections import Corrections
from overread.hl7_intake.intake import Intake
from overread.hl7_intake.link_file import LinkFile
from overread.hl7_intake.link_view import PATH, links_view
from overread.hl7_intake.reception import Reception
from overread.hl7_intake.settings import HL7IntakeSettings
from overread.hl7_intake.warming import warm
from overread.runtime.group_commit import GroupCommit
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.service import Service

ROOM_SECONDS = 1.0
"""How often the free space of the disk is looked at."""


def make_service(settings: HL7IntakeSettings) -> Service:
    """Wire the intake; it owns no state and consumes only corrections; what it took before is read back from the topic."""
    publisher = KafkaPublisher(settings)
    service = Service("hl7_intake", settings, publisher=publisher)
    objects = LocalObjectStore(settings.objects_folder, low_watermark_bytes=settings.least_free_bytes)
    enqueue = GroupCommit(publisher).enqueue
    reception = Reception(
        settings,
        lambda link: Intake(settings, link, enqueue, objects, service.clock),
        lambda intake: warm(intake, settings, service.clock),
    )
    link_file = LinkFile(settings, reception)
    service.consumes(CORRECTIONS_REQUESTED)(Corrections(reception, objects.get).requested)
    service.runs(lambda: _watch_room(reception, objects))
    service.runs(link_file.watch)
    service.serves(lambda: _listening(reception, link_file))
    service.health.register("object store", objects.ping)
    service.health.register_wait("links", lambda: link_file.fault)
    service.answers(PATH, lambda: _view(service, settings, reception, link_file))
    return service


async def _view(
    service: Service, settings: HL7IntakeSettings, reception: Reception, link_file: LinkFile
) -> Mapping[str, Any]:
    """Say how each link is at this moment."""
    return links_view(reception, settings.hl7_links, link_file.fault, service.clock())


async def _watch_room(reception: Reception, objects: LocalObjectStore) -> None:
    """Refuse while the disk is at its watermark: the broker's log fills it too, and must not meet its end."""
    while True:
        try:
            await objects.ping()
        except Unavailable as full:
            reception.refuse_all(full)
        else:
            reception.refuse_all(None)
        await asyncio.sleep(ROOM_SECONDS)


@asynccontextmanager
async def _listening(reception: Reception, link_file: LinkFile) -> AsyncIterator[None]:
    """Listen on each link once its guard knows what was taken before."""
    try:
        await link_file.open()
        yield
    finally:
        await reception.stop()


def main() -> None:
    """Run the intake until it is told to stop."""
    make_service(HL7IntakeSettings()).run()
