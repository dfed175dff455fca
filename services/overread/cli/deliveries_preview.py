"""`overread deliveries preview`: the messages that a destination would get of a report, or of an example."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.cli import options
from overread.contracts.errors import OverreadError
from overread.delivery import destinations, operator_store
from overread.delivery.destinations import Destination
from overread.delivery.forms import needs_images
from overread.delivery.handlers import occasion_of
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.insurance_form import FORM as XML4
from overread.delivery.preview import Shown, as_example, preview
from overread.delivery.settings import DeliverySettings
from overread.delivery.study_images import StudyImages, images_for
from overread.delivery.telling import read_document
from overread.embedded.endpoints import DEFAULT_SITE, Endpoints
from overread.embedded.places import CHECKOUT
from overread.runtime.clock import utc_now
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging

EXAMPLE = CHECKOUT / "contracts" / "examples" / "ReportDocument.v1.json"

Ask = Callable[[Endpoints, Callable[[Transaction], Awaitable[bytes | None]]], Coroutine[Any, Any, bytes | None]]
"""How delivery's database is asked."""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]", ask: Ask) -> None:
    """Add the action."""
    shown = actions.add_parser(
        "preview",
        help="show the HL7 messages that a destination would get",
        description="Renders with the destinations file as it is now, reads back as the gate does, and judges HL7 by "
        "hl7apy's tables of v2.5.1, rows of the insurance table by its columns. Nothing is stored or sent.",
    )
    shown.add_argument("destination", help="its name in the destinations file")
    what = shown.add_mutually_exclusive_group(required=True)
    what.add_argument("--report", type=UUID, metavar="ID", help="a report that delivery has seen")
    what.add_argument("--example", action="store_true", help="a signed report of a synthetic patient; needs no stack")
    shown.add_argument(
        "--destinations", type=Path, metavar="FILE", help="default: OVERREAD_DESTINATIONS, else the stack's"
    )
    options.add_data(shown)
    shown.set_defaults(run=lambda told: run(told, ask))


def run(told: argparse.Namespace, ask: Ask) -> int:
    """Print each message, a line a segment."""
    for number, message in enumerate(_messages(told, ask)):
        sys.stdout.write("\n" if number else "")
        sys.stdout.writelines(f"{line}\n" for line in message.lines)
        judge = "its table's columns, which nobody has checked" if message.form == XML4 else "hl7apy"
        sys.stderr.write(f"{message.form}: read back as it was meant, and judged by {judge}\n")
    return 0


def _messages(told: argparse.Namespace, ask: Ask) -> list[Shown]:
    site_id, raw = _document(told, ask)
    settings = DeliverySettings(site_id=site_id)
    listed = destinations.load(_file(told), site_id=site_id)
    named = next((destination for destination in listed if destination.name == told.destination), None)
    if named is None:
        names = ", ".join(destination.name for destination in listed) or "none"
        raise OverreadError(
            f"there is no destination {told.destination!r} in {_file(told)}; there are: {names}{_hint(told)}"
        )
    if told.example:
        visit = "TEST-V-1" if isinstance(named, InsuranceDestination) else ""
        raw = as_example(raw, named.site_id or site_id, visit_number=visit)
    has_images = not told.example and needs_images(named) and (told.data / "objects").is_dir()
    imaging = asyncio.run(_imaging(told.data / "objects", raw, named)) if has_images else None
    return preview(raw, named, occasion_of(settings, utc_now()), imaging)


async def _imaging(objects: Path, raw: bytes, destination: Destination) -> "Imaging | None":
    """Return the study's images; None where they are unfit for the report."""
    return await images_for(StudyImages(LocalObjectStore(objects)), read_document(raw), [destination])


def _document(told: argparse.Namespace, ask: Ask) -> tuple[str, bytes]:
    if told.example:
        return os.environ.get("OVERREAD_SITE_ID", DEFAULT_SITE), EXAMPLE.read_bytes()
    endpoints = Endpoints.of(told.data)
    raw = asyncio.run(ask(endpoints, lambda tx: operator_store.newest_document(tx.connection, tx.site_id, told.report)))
    if raw is None:
        raise OverreadError(f"delivery has seen no report {told.report}")
    return endpoints.site_id, raw


def _file(told: argparse.Namespace) -> Path:
    named = told.destinations or os.environ.get("OVERREAD_DESTINATIONS")
    return Path(named) if named else told.data / "config" / "delivery" / "destinations.toml"


def _hint(told: argparse.Namespace) -> str:
    """Return why the stack may send to what is not listed here: only the service itself knows a file of its own."""
    if told.destinations or os.environ.get("OVERREAD_DESTINATIONS"):
        return ""
    return "; this is what the last start on this folder was told: if it was told OVERREAD_DESTINATIONS, name that file with --destinations"
