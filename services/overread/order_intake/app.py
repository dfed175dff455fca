"""Order intake: takes orders in other forms than HL7 v2, and answers when they are kept."""

import asyncio
from pathlib import Path

from fastapi import FastAPI

from overread.contracts.errors import Unavailable
from overread.order_intake.intake import Intake
from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.warming import warm
from overread.order_intake.web import build
from overread.runtime.group_commit import GroupCommit
from overread.runtime.health import serve_on_socket
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.service import Service

ROOM_SECONDS = 1.0
"""How often the free space of the disk is looked at."""


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
    service.runs(lambda: _watch_room(intake, objects))
    service.health.register("object store", objects.ping)
    if settings.front_secret and settings.http_socket:
        app = build(service, settings, settings.front_secret.get_secret_value().encode(), intake)
        _serve(service, app, settings.http_socket)
    return service


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
