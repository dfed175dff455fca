"""Names of fields and meanings of codes, and what may be shown to whom."""

import pytest

from overread.protocols.hl7.code_tables import TABLES
from overread.protocols.hl7.errors import MessageErrorCondition
from overread.protocols.hl7.explain import MOST_CHARACTERS, explain
from overread.protocols.hl7.field_names import VERSIONS, fields_of
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import an_omi, an_orm, an_oru


def said(raw: bytes, place: str, *, shows_patient: bool = True) -> tuple[str, ...]:
    segments = explain(tokenise(raw), shows_patient=shows_patient)
    return next(field.values for segment in segments for field in segment.fields if field.place == place)


@pytest.mark.parametrize(
    ("raw", "place", "expected"),
    [
        (an_omi(), "MSH-2", "^~\\&"),
        (an_omi(), "ORC-1", "NW = new order"),
        (an_omi(), "PID-8", "M = male"),
        (an_omi(), "PID-7", "19990512 = 1999-05-12"),
        (an_omi(), "MSH-7", "20261122095000+0700 = 2026-11-22 09:50:00 +07:00"),
        (an_orm(), "ORC-9", "20261122095000 = 2026-11-22 09:50:00, hospital time"),
        (an_orm(), "MSH-9", "ORM = order (until version 2.6) (message type), O01 = order (trigger event)"),
        (an_oru("F"), "OBR-25", "F = final results, stored and verified"),
        (an_oru("R"), "OBX-11", "O = order detail, no result"),
        (an_omi(put={"PID-8": '""'}), "PID-8", 'two double quotes: "delete what is stored"'),
        (an_omi(put={"ORC-1": "NW"}), "TQ1-9", "S = stat: at once"),
    ],
)
def test_a_field_says_what_its_code_or_time_means(raw: bytes, place: str, expected: str) -> None:
    """Tables 0001, 0008, 0085, 0119, 0123 and their like, in words; dates as people write them."""
    assert said(raw, place) == (expected,)


def test_each_repetition_is_said_apart() -> None:
    """PID-3 holds a record number and a citizen identifier; who gave them is no secret, they are."""
    record, citizen = said(an_omi(), "PID-3", shows_patient=False)

    assert record.startswith("hidden, 8 characters")
    assert "VNBCA (assigning authority), NI = national identifier" in citizen


def test_what_is_hidden_still_says_whether_it_could_be_right() -> None:
    """A date of birth that is none is what the help desk looks for."""
    assert said(an_omi(), "PID-7", shows_patient=False) == ("hidden, a date",)
    assert said(an_omi(put={"PID-7": "12.5.99"}), "PID-7", shows_patient=False) == ("hidden, not a date",)


def test_a_z_segment_is_hidden_whole() -> None:
    """Nobody knows what a site keeps there."""
    raw = an_omi() + b"ZVN|NGUYEN VAN A|12\r"

    assert said(raw, "ZVN-1", shows_patient=False) == ("hidden, 12 characters",)


def test_a_long_value_is_shown_by_its_beginning() -> None:
    """A picture in base64 explains nothing."""
    (value,) = said(an_omi(put={"OBR-13": "x" * 5000}), "OBR-13")

    assert value == "x" * MOST_CHARACTERS + "… (5000 characters)"


@pytest.mark.parametrize("version", [*VERSIONS, "3.0", ""])
def test_fields_are_named_in_every_version(version: str) -> None:
    """An unknown version is read as 2.5.1, and a segment that came later by its later name."""
    assert fields_of("PID", version)[4].name == "Patient name"
    assert fields_of("IPC", version)[0].name == "Accession identifier"
    assert fields_of("QQQ", version) == ()


def test_every_condition_that_we_answer_has_words() -> None:
    """Table 0357 as we use it is spelled out whole."""
    assert {str(condition.value) for condition in MessageErrorCondition} <= set(TABLES["HL70357"])
