"""Order intake: takes orders in other forms than HL7 v2, and answers when they are kept."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from overread.contracts.errors import Unavailable
from overread.contracts.topics import ORDERS_OFFERED
from overread.order_intake.intake import Intake
from overread.order_intake.offered import Offers
from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.source_watch import SOURCES, Sources, opener
from overread.order_intake.warming import warm
from overread.order_intake.web import build
from overread.order_intake.worklist_rounds import WorklistRounds
from overread.runtime.group_commit import GroupCommit
from overread.runtime.health import serve_on_socket
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.service import Service

ROOM_SECONDS = 1.0
"""How often the free space of the disk is looked at."""

WORKLIST_WINDOW = timedelta(days=14)
"""What a worklist said is known again so far back: no longer does the topic hold it."""


def make_service(settings: OrderIntakeSettings) -> Service:
    """Wire the intake; it owns no state; what it took before is read back from the topic."""
    publisher = KafkaPublisher(settings)
    service = Service("order_intake", settings, publisher=publisher)
    objects = LocalObjectStore(settings.objects_folder, low_watermark_bytes=settings.least_free_bytes)
    intake = Intake(
        settings,
        GroupCommit(publisher).enqueue,
        objects,
        service.clock,
        lambda intake, link_id: warm(intake, link_id, settings, service.clock),
    )
    offers = Offers(intake, settings.site_id, service.clock)
    service.consumes(ORDERS_OFFERED, opens=offers.open)(offers.orders_offered)
    service.runs(lambda: _watch_room(intake, objects))
    service.health.register("object store", objects.ping)
    if settings.order_links:
        _fetch(service, settings, settings.order_links, intake)
    if settings.front_secret and settings.http_socket:
        app = build(service, settings, settings.front_secret.get_secret_value().encode(), intake)
        _serve(service, app, settings.http_socket)
    return service


def _fetch(service: Service, settings: OrderIntakeSettings, file: Path, intake: Intake) -> None:
    """Fetch orders from the file's folders and worklists; one that is away is a warning, and no more."""

    async def recall(rounds: WorklistRounds, link_id: str) -> None:
        await warm(rounds, link_id, settings, service.clock, WORKLIST_WINDOW)

    fetching = Sources(file, opener(settings, intake.keep, service.clock, recall), service.clock)
    service.runs(fetching.run)
    service.health.register_wait("order links", lambda: fetching.fault)
    service.health.register_warnings(fetching.warnings)
    service.answers(SOURCES, lambda: _view(fetching))


async def _view(fetching: Sources) -> Mapping[str, Any]:
    return {"fault": fetching.fault, "links": fetching.view()}


def _serve(service: Service, app: FastAPI, socket: Path) -> None:
    listening = asyncio.Event()
    service.health.register_wait("http", lambda: None if listening.is_set() else "the API is not listening yet")

    async def serve_http() -> None:
        await serve_on_socket(app, socket, on_listening=listening.set)

    service.runs(serve_http)


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


def main() -> None:
    """Run the intake until it is told to stop."""
    make_service(OrderIntakeSettings()).run()
