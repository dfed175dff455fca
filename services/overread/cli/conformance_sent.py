"""The profiles of what is sent: an example of each form, rendered as delivery renders, and what stands in it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from overread.cli.conformance_taken import table
from overread.delivery.destinations import Hl7Destination
from overread.delivery.handlers import occasion_of
from overread.delivery.preview import as_example, preview
from overread.delivery.settings import DeliverySettings
from overread.delivery.templates import Hl7Form
from overread.embedded.places import CHECKOUT

EXAMPLE = CHECKOUT / "contracts" / "examples" / "ReportDocument.v1.json"
_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def sent() -> Iterator[str]:
    """Yield the chapter."""
    yield "### Profiles of what is sent"
    yield ""
    yield from table(("form", "message", "segments of the example, with the fields that are filled"), _profiles())


def _profiles() -> Iterator[Sequence[str]]:
    destination = Hl7Destination(
        name="emr", kind="hl7", url="mllp://127.0.0.1:2580", forms=tuple(Hl7Form), site_id="site"
    )
    settings = DeliverySettings(site_id="site")
    raw = as_example(EXAMPLE.read_bytes(), "site")
    for form, shown in zip(Hl7Form, preview(raw, destination, occasion_of(settings, _NOW)), strict=True):
        yield f"`{form.value}`", f"`{_type_of(shown.segments)}`", "; ".join(_filled(shown.segments))


def _type_of(segments: Sequence[str]) -> str:
    return segments[0].split("|")[8]


def _filled(segments: Sequence[str]) -> Iterator[str]:
    """Name each segment once, with the fields that any of its kind fills."""
    filled: dict[str, set[int]] = {}
    for segment in segments:
        name, *fields = segment.split("|")
        first = 2 if name == "MSH" else 1
        numbers = {number for number, value in enumerate(fields, first) if value}
        filled.setdefault(name, set()).update(numbers)
    for name, numbers in filled.items():
        yield f"{name}-{', -'.join(map(str, sorted(numbers)))}"
