"""Routing: decides, for every study that is ready, which models read it and why the others do not."""

from overread.contracts.topics import CASES_CHANGED
from overread.inference import catalog
from overread.routing import rules
from overread.routing.handlers import Handlers
from overread.routing.settings import RoutingSettings
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service


def make_service(settings: RoutingSettings) -> Service:
    """Wire routing; a catalogue or rule file that can't be used stops the start."""
    service = Service("routing", settings)
    objects = LocalObjectStore(settings.objects_folder)
    handlers = Handlers(catalog.load(settings.models_file), rules.load(settings.rules_file), objects)
    service.consumes(CASES_CHANGED)(handlers.cases_changed)
    service.health.register("object store", objects.ping)
    return service


def main() -> None:
    """Run routing until it is told to stop."""
    make_service(RoutingSettings()).run()
