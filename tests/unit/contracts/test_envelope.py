"""The outer event: deterministic, bounded, and silent about patients when it is damaged."""

import json
from uuid import UUID

import pytest

from overread.contracts import codec
from overread.contracts.codec import UnknownEvent
from overread.contracts.envelope import MAX_EVENT_BYTES
from overread.contracts.errors import Malformed
from overread.contracts.events.audit import Recorded
from overread.contracts.identifiers import deterministic_id
from tests.builders.events import a_recorded, a_report_document, a_study_ready, an_event

OTHER_CAUSE = deterministic_id("another cause")


@pytest.mark.parametrize(
    "changed",
    [{"source": "other"}, {"own_key": "2"}, {"caused_by": OTHER_CAUSE}],
    ids=["producer", "own key", "cause"],
)
def test_id_follows_from_producer_cause_and_own_key(changed: dict[str, object]) -> None:
    """DESIGN: event ids are UUIDv5 of producer, cause and the output's own key."""
    assert an_event(a_recorded(), **changed).id != an_event(a_recorded()).id  # type: ignore[arg-type]


def test_id_of_another_type_differs() -> None:
    """Two outputs of one cause are two events."""
    assert an_event(a_recorded()).id != an_event(a_study_ready()).id


def test_given_id_is_kept() -> None:
    """Intakes name their events by digest, not by cause."""
    given = UUID(int=7)

    assert an_event(a_recorded(), event_id=given).id == given


def test_wire_form_has_the_words_of_cloudevents() -> None:
    """CloudEvents 1.0, 3.1: id, source, specversion, type; and what every consumer needs beside them."""
    wire = json.loads(codec.encode(an_event(a_recorded())))

    assert wire["specversion"] == "1.0"
    assert wire["type"] == "Recorded.v1"
    assert set(wire) == {
        *("specversion", "id", "type", "source", "time", "subject"),
        *("site_id", "traceparent", "caused_by", "data"),
    }


def test_event_at_the_limit_goes_and_one_byte_more_does_not() -> None:
    """No event exceeds 256 KiB."""
    room = MAX_EVENT_BYTES - len(codec.encode(an_event(a_recorded(detail=""))))

    assert len(codec.encode(an_event(a_recorded(detail="x" * room)))) == MAX_EVENT_BYTES
    with pytest.raises(Malformed, match="store it and name the object"):
        codec.encode(an_event(a_recorded(detail="x" * (room + 1))))


def test_unknown_type_is_named_only_when_it_is_a_type() -> None:
    """A stranger's bytes may hold a patient's name anywhere, so they are not repeated."""
    with pytest.raises(UnknownEvent, match=r"Other\.v2"):
        codec.decode(b'{"type": "Other.v2"}', (Recorded,))
    with pytest.raises(UnknownEvent) as fault:
        codec.decode('{"type": "THỬ NGHIỆM^NGUYỄN"}'.encode(), (Recorded,))

    assert "NGHIỆM" not in str(fault.value)


def test_fault_names_the_field_and_hides_the_value() -> None:
    """Bad input gets a clear answer without patient data."""
    wire = json.loads(codec.encode(an_event(a_study_ready())))
    wire["data"]["case"]["patient"]["birth_date"] = "THỬ NGHIỆM"

    with pytest.raises(Malformed) as fault:
        codec.decode(json.dumps(wire).encode(), (type(a_study_ready()),))

    assert str(fault.value).startswith("data.case.patient.birth_date")
    assert "NGHIỆM" not in str(fault.value)


def test_time_without_a_zone_is_refused() -> None:
    """Aware UTC datetimes only."""
    raw = codec.encode(an_event(a_recorded())).replace(b"2026-11-22T12:00:00Z", b"2026-11-22T12:00:00")

    with pytest.raises(Malformed, match="time"):
        codec.decode(raw, (Recorded,))


def test_lone_surrogate_is_malformed_not_a_crash() -> None:
    """A text that is no Unicode has no JSON form."""
    with pytest.raises(Malformed, match="surrogate"):
        codec.encode(an_event(a_recorded(detail="a\ud800")))


def test_document_has_one_byte_form() -> None:
    """What is signed is made once: equal documents give equal bytes, with sorted keys and UTF-8."""
    raw = codec.document_bytes(a_report_document())

    assert raw == codec.document_bytes(a_report_document())
    assert list(json.loads(raw)) == sorted(json.loads(raw))
    assert "phổi".encode() in raw
