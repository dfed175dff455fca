"""Assembly: brings orders and images together into cases, and says when a study is whole."""

import asyncio
from pathlib import Path

from overread.assembly.handlers import Handlers
from overread.assembly.late_survivors import LateSurvivors
from overread.assembly.message_taking import Contents, Forgetting, MessageTaking
from overread.assembly.readiness import Timekeeper
from overread.assembly.remapping import Remapping
from overread.assembly.settings import AssemblySettings
from overread.assembly.web import build
from overread.contracts.topics import DICOM_RECEIVED, HL7_RECEIVED, ORDERS_RECEIVED, REPORTS_SIGNED
from overread.runtime.health import serve_on_socket
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service


def make_service(settings: AssemblySettings) -> Service:
    """Wire assembly; nothing is opened until the service runs."""
    service = Service("assembly", settings, owns="overread.assembly")
    objects = LocalObjectStore(settings.objects_folder)
    handlers = Handlers(settings, objects)
    messages = MessageTaking(settings, Contents(objects).of)
    service.consumes(HL7_RECEIVED, set_aside=messages.set_aside)(messages.noting(handlers.hl7_received))
    service.consumes(ORDERS_RECEIVED)(handlers.orders_received)
    service.consumes(DICOM_RECEIVED)(handlers.dicom_received)
    service.consumes(REPORTS_SIGNED)(handlers.reports_signed)
    service.runs(Timekeeper(service, objects).run)
    service.runs(LateSurvivors(service).run)
    service.runs(Remapping(service, settings.mapping_reach).run)
    service.runs(Forgetting(service).run)
    service.health.register("object store", objects.ping)
    if settings.front_secret and settings.http_socket:
        _serve_people(service, settings.front_secret.get_secret_value().encode(), settings.http_socket)
    return service


def _serve_people(service: Service, secret: bytes, socket: Path) -> None:
    listening = asyncio.Event()
    service.health.register_wait("http", lambda: None if listening.is_set() else "the API is not listening yet")
    app = build(service, secret)

    async def serve_http() -> None:
        await serve_on_socket(app, socket, on_listening=listening.set)

    service.runs(serve_http)


def main() -> None:
    """Run assembly until it is told to stop."""
    make_service(AssemblySettings()).run()
