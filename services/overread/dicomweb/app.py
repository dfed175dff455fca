"""DICOMweb (PS3.18) behind the HTTP front: what a viewer needs of WADO-RS and QIDO-RS, as the images were stored."""

from fastapi import FastAPI

from overread.archive.queries import ArchiveQueries
from overread.dicomweb.retrieve import Retrieval
from overread.dicomweb.settings import DicomwebSettings
from overread.dicomweb.web import build
from overread.runtime.clock import Clock, utc_now
from overread.runtime.health import serve_on_socket
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import Publisher
from overread.runtime.service import Service


def make_service(settings: DicomwebSettings, *, publisher: Publisher | None = None, clock: Clock = utc_now) -> Service:
    """Wire dicomweb; nothing is opened until the service runs."""
    service = Service("dicomweb", settings, publisher=publisher, clock=clock)
    archive = ArchiveQueries(settings.archive_dsn.get_secret_value(), settings.site_id)
    app = make_app(service, settings, archive)

    async def serve_http() -> None:
        await serve_on_socket(app, settings.http_socket)

    service.health.register("archive's tables", archive.ping)
    service.runs(serve_http)
    return service


def make_app(service: Service, settings: DicomwebSettings, archive: ArchiveQueries) -> FastAPI:
    """Return the app that answers the front."""
    return build(service, settings, Retrieval(archive, LocalObjectStore(settings.objects_folder)))


def main() -> None:
    """Run dicomweb until it is told to stop."""
    make_service(DicomwebSettings()).run()
