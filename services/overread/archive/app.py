"""Archive: knows what we hold, and tells again what an intake stored and did not come to tell."""

from overread.archive.committing import Committer
from overread.archive.handlers import Handlers
from overread.archive.settings import ArchiveSettings
from overread.archive.sweep import Sweeper
from overread.contracts.topics import DICOM_RECEIVED, ORDERS_CHANGED
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service


def make_service(settings: ArchiveSettings) -> Service:
    """Wire archive; nothing is opened until the service runs."""
    service = Service("archive", settings, owns="overread.archive")
    objects = LocalObjectStore(settings.objects_folder)
    handlers = Handlers(objects)
    service.consumes(DICOM_RECEIVED)(handlers.dicom_received)
    service.consumes(ORDERS_CHANGED)(handlers.orders_changed)
    service.runs(Committer(service, settings).run)
    service.runs(Sweeper(service, objects, fallback_charset=settings.dicom_fallback_charset).run)
    service.health.register("object store", objects.ping)
    return service


def main() -> None:
    """Run archive until it is told to stop."""
    make_service(ArchiveSettings()).run()
