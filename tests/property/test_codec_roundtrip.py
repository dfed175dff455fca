"""encode ∘ decode is identity, whatever the event holds; what is no event is `Malformed`, never another error."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.contracts import codec
from overread.contracts.envelope import MAX_EVENT_BYTES, Body
from overread.contracts.errors import Malformed
from overread.contracts.events.audit import Recorded
from overread.contracts.events.intake import InstanceAttributes
from overread.contracts.identifiers import nfc
from overread.contracts.topics import TOPICS
from tests.builders.events import NOON, a_recorded, an_event, an_instance_stored, one_of_each, some_attributes

ALL_BODIES = tuple(body for topic in TOPICS for body in topic.bodies)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
recorded = st.builds(
    Recorded,
    actor=texts,
    action=texts,
    object_type=texts,
    object_id=texts,
    outcome=texts,
    recorded_at=moments,
    detail=texts,
    case_id=st.none() | st.uuids(),
)
attributes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "patient_name": texts.map(nfc),
        "patient_birth_date": st.none() | st.dates(),
        "pixel_spacing": st.tuples(numbers, numbers),
        "image_orientation_patient": st.tuples(*[numbers] * 6),
        "convolution_kernel": st.lists(texts, max_size=3).map(tuple),
        "kvp": st.none() | numbers,
    },
)


@given(body=recorded, own_key=texts, time=moments)
def test_any_event_comes_back_as_it_went(body: Recorded, own_key: str, time: datetime) -> None:
    """No text, moment or absent value changes on the way."""
    event = an_event(body, own_key=own_key, time=time)

    returned = codec.decode(codec.encode(event), ALL_BODIES)

    assert returned == event
    assert codec.encode(returned) == codec.encode(event)


@given(values=attributes)
def test_any_header_comes_back_as_it_went(values: dict[str, Any]) -> None:
    """Numbers of a DICOM header keep their value: a spacing that changed would change a volume."""
    event = an_event(an_instance_stored(attributes=some_attributes(**values)))

    assert codec.decode(codec.encode(event), ALL_BODIES) == event


@pytest.mark.parametrize("body", one_of_each(), ids=lambda body: body.event_type())
def test_every_event_survives_fields_that_it_does_not_know(body: Body) -> None:
    """Producers may add; an old consumer reads on."""
    wire = json.loads(codec.encode(an_event(body)))
    wire["added_later"] = 1
    wire["data"]["added_later"] = {"nested": True}

    returned = codec.decode(json.dumps(wire).encode(), ALL_BODIES)

    assert returned == an_event(body)


@settings(max_examples=300)
@given(raw=st.binary(max_size=200))
def test_bytes_that_are_no_event_are_malformed(raw: bytes) -> None:
    """Whatever stands on a topic is answered in the one way that has a dead letter."""
    with pytest.raises(Malformed):
        codec.decode(raw, ALL_BODIES)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(json.loads(codec.encode(an_event(a_recorded()))))), value=json_values)
def test_a_damaged_field_is_malformed_or_harmless(field: str, value: Any) -> None:
    """One wrong field never makes another kind of error, and the reason never repeats the value."""
    wire = json.loads(codec.encode(an_event(a_recorded())))
    wire[field] = value

    try:
        codec.decode(json.dumps(wire).encode(), ALL_BODIES)
    except Malformed as fault:
        assert not (isinstance(value, str) and len(value) > 5 and value in str(fault))  # noqa: PT017 - either way is right


@given(size=st.integers(0, 400 * 1024))
@settings(max_examples=20)
def test_no_event_is_larger_than_the_limit(size: int) -> None:
    """What is larger is a stored object that the event names (claim check)."""
    event = an_event(a_recorded(detail="x" * size))

    try:
        raw = codec.encode(event)
    except Malformed:
        assert size > MAX_EVENT_BYTES - 2048
    else:
        assert len(raw) <= MAX_EVENT_BYTES


@given(later=st.timedeltas(timedelta(0), timedelta(days=400)), own_key=texts)
def test_an_id_does_not_depend_on_when_it_was_made(later: timedelta, own_key: str) -> None:
    """A repeat is recognised: same cause, same output, same id, at any time and in any trace."""
    first = an_event(a_recorded(), own_key=own_key)

    again = an_event(a_recorded(), own_key=own_key, time=NOON + later, traceparent=f"00-{'1' * 32}-{'2' * 16}-01")

    assert again.id == first.id


def test_a_number_that_json_can_not_say_is_refused_where_it_arises() -> None:
    """NaN would become null on the wire and fail far from its cause."""
    with pytest.raises(ValueError, match="finite"):
        InstanceAttributes(series_instance_uid="1.2", kvp=float("nan"))
