"""Delivery: lets signed reports out through the gate, and sends every result until its destination has it."""

from overread.contracts.topics import CASES_CHANGED, REPORTS_CHANGED, REPORTS_SIGNED
from overread.delivery.destinations import load
from overread.delivery.dispatch import Dispatch
from overread.delivery.forms import needs_images
from overread.delivery.handlers import Handlers
from overread.delivery.settings import DeliverySettings
from overread.delivery.study_images import StudyImages
from overread.delivery.ways import PATH, ways
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service


def make_service(settings: DeliverySettings) -> Service:
    """Wire delivery; nothing is opened until the service runs."""
    # What the gate knows of cases and of clinicians' words comes by the broker's rights alone: so does a replay of it.
    service = Service("delivery", settings, owns="overread.delivery", proves_replays=True)
    destinations = load(settings.destinations, site_id=settings.site_id)
    objects = LocalObjectStore(settings.objects_folder) if settings.object_root else None
    # Without a folder of objects the first report in DICOM is held, and says so.
    images = StudyImages(objects) if objects and any(map(needs_images, destinations)) else None
    handlers = Handlers(settings, destinations, images=images, objects=objects)
    service.consumes(CASES_CHANGED, set_aside=handlers.case_set_aside)(handlers.cases_changed)
    service.consumes(REPORTS_CHANGED)(handlers.reports_changed)
    service.consumes(REPORTS_SIGNED)(handlers.reports_signed)
    service.answers(PATH, lambda: ways(service, destinations))
    if images:
        service.prepares(images.warm)
    service.runs(Dispatch(service, settings, destinations, images=images, objects=objects).run)
    return service


def main() -> None:
    """Run delivery until it is told to stop."""
    make_service(DeliverySettings()).run()
