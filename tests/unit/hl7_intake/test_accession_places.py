"""Where a link's sender keeps the accession number travels with each of its messages: assembly asks nobody else."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from overread.assembly import orders
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received
from overread.hl7_intake.incoming import LinkRules
from overread.hl7_intake.settings import Link
from tests.builders.hl7 import HANOI, an_orm

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
WITH_Z = an_orm(accession="IN-OBR-18") + b"ZPA|1|x|A^ACC-IN-Z\r"


def event_of(raw: bytes, *places: str) -> Event[Any]:
    """Return the event that a link makes of `raw`; the second of a sender takes the quick way."""
    rules = LinkRules("site", Link(link_id="his", accession_places=places), UTC)
    rules.read(raw, NOW)
    message = rules.read(raw, NOW)
    return codec.decode(message.sender.events.write(message, None), (HL7Received,))


def accession_number(event: Event[Any]) -> str | None:
    """Return what assembly takes for the accession number."""
    raw = base64.b64decode(event.data.raw_base64)
    (message,) = orders.read(raw, "", HANOI, received_at=NOW, accession_places=event.data.accession_places)
    return message.request.accession_number


@pytest.mark.parametrize(
    ("places", "number"),
    [
        ((), "IN-OBR-18"),
        (("ZPA-3.2", "OBR-18"), "ACC-IN-Z"),
        (("ZPA-9", "OBR-18"), "IN-OBR-18"),
        (("ORC-2",), "ORD20261122001"),
    ],
)
def test_link_says_where_its_sender_keeps_the_accession_number(places: tuple[str, ...], number: str) -> None:
    """REQ-ORD-05: one setting of the link, and each event carries it."""
    event = event_of(WITH_Z, *places)

    assert (event.data.accession_places, accession_number(event)) == (places, number)


def test_z_segments_are_kept_as_they_came() -> None:
    """REQ-ORD-06: nothing of a message is thrown away, whether we read it or not."""
    event = event_of(WITH_Z)

    assert base64.b64decode(event.data.raw_base64) == WITH_Z


@pytest.mark.parametrize("place", ["PID-3", "OBR", "OBR-0", "obr-18", "ZPA-3.2.1", ""])
def test_place_that_is_no_field_of_an_order_stops_the_configuration(place: str) -> None:
    """A typing error must not look like orders without accession numbers."""
    with pytest.raises(ValidationError):
        Link(accession_places=(place,))
