import dataclasses
from datetime import datetime
from typing import Any

import pytest

from overread.contracts.errors import Malformed
from overread.protocols.hl7.data_types import CodedElement, Practitioner
from overread.protocols.hl7.errors import NotRenderable
from overread.protocols.hl7.oru import render
from overread.protocols.hl7.oru_content import (
    SYNTHETIC,
    UNCONFIRMED,
    Language,
    ModelVersion,
    Numeric,
    Text,
    differences,
    without_value,
)
from overread.protocols.hl7.oru_reading import read_back
from overread.protocols.hl7.tokenise import Segment, tokenise
from tests.builders.hl7 import LUNG, NOON, STUDY, a_remark, a_site, a_volume, an_oru, an_oru_content

STATUSES = list("RPFCX")
SIGNER = Practitioner(id_number="BS009", family_name="MẪU", given_name="MINH CHÂU")


def _segments(raw: bytes, name: str) -> tuple[Segment, ...]:
    return tokenise(raw).segments(name)


def _obr(raw: bytes) -> Segment:
    (obr,) = _segments(raw, "OBR")
    return obr


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_reads_back_as_what_was_rendered(status: str) -> None:
    """The gate compares what will leave with what was signed."""
    content = an_oru_content(status, is_synthetic=True)

    read = read_back(render(content))

    assert differences(content, read) == ()


@pytest.mark.parametrize("status", STATUSES)
def test_result_without_findings_reads_back(status: str) -> None:
    """A signed report may state that no model read the study."""
    content = an_oru_content(status, observations=())

    read = read_back(render(content))

    assert differences(content, read) == ()


@pytest.mark.parametrize("status", STATUSES)
def test_equal_contents_give_equal_bytes(status: str) -> None:
    """A resend must be byte-identical."""
    assert render(an_oru_content(status)) == render(an_oru_content(status))


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("status", ["R", "P"])
def test_unconfirmed_result_says_so_in_its_first_line(status: str, language: Language) -> None:
    """Whoever reads the text sees at once that no clinician stands behind it."""
    raw = an_oru(status, language=language, narrative="")

    (text,) = (s for s in _segments(raw, "OBX") if s.field(2).text == "TX")
    assert text.field(5).text.split("~")[0] == UNCONFIRMED[language]


@pytest.mark.parametrize("status", STATUSES)
def test_no_two_observations_share_identifier_and_sub_id(status: str) -> None:
    """A receiver replaces by both, so of two it would keep the last: a text without its warning, a site of another."""
    observations = (a_site(sub_id="1"), a_site(sub_id="2"), a_volume(body_site=LUNG), a_remark())
    told = tuple(without_value(o) if status == "X" else o for o in observations)

    raw = an_oru(status, observations=told, is_synthetic=True)

    names = [(s.field(3).raw, s.field(4).raw) for s in _segments(raw, "OBX")]
    assert len(names) == len(set(names)) == 9


def test_text_is_one_observation_with_a_repetition_for_each_line() -> None:
    """TX repeats by the line (2.A.79): a shorter text replaces the whole of a longer one, warning and all."""
    draft, final = (an_oru(status, narrative="Một.\n\nHai.") for status in "RF")

    (told,), (signed,) = ([s for s in _segments(raw, "OBX") if s.field(2).text == "TX"] for raw in (draft, final))
    assert (told.field(3).raw, told.field(4).raw) == (signed.field(3).raw, signed.field(4).raw)
    assert [line.text for line in told.field(5).repetitions] == [
        UNCONFIRMED[Language.VIETNAMESE],
        *("Một.", " ", "Hai."),
    ]
    assert [line.text for line in signed.field(5).repetitions] == ["Một.", " ", "Hai."]


@pytest.mark.parametrize("status", ["R", "P", "F", "C"])
def test_text_names_every_model_that_wrote_it(status: str) -> None:
    """OBX-17, OBX-18 and OBX-19 stand beside the text too: a repetition for each model."""
    models = (ModelVersion(name="one", version="1.0.0", uid="2.25.1"), ModelVersion(name="two", version="2.0.0"))
    content = an_oru_content(status, models=models, analysed_at=NOON)

    raw = render(content)

    (text,) = (s for s in _segments(raw, "OBX") if s.field(2).text == "TX" and s.field(3).component(1).text != "REMARK")
    assert text.field(17).component(1).text == "AI"
    assert [model.component(1).text for model in text.field(18).repetitions] == ["one", "two"]
    assert text.field(19).text == "20261122120000+0700"
    assert differences(content, read_back(raw)) == ()


@pytest.mark.parametrize(("scheduled_at", "priority"), [(NOON, "S"), (NOON, None), (None, "R"), (None, None)])
def test_timing_says_when_it_was_to_begin_and_how_urgent_it_was(scheduled_at: datetime | None, priority: str) -> None:
    """TQ1-7 and TQ1-9, each as far as the order has it."""
    content = an_oru_content(scheduled_at=scheduled_at, priority=priority)

    raw = render(content)

    assert len(_segments(raw, "TQ1")) == int(bool(scheduled_at or priority))
    assert differences(content, read_back(raw)) == ()


def test_site_of_another_finding_is_not_read() -> None:
    """A site belongs to the finding before it, by its sub-ID."""
    raw = render(an_oru_content(observations=(a_site(),))).replace(b"Finding Site^SCT|2|", b"Finding Site^SCT|3|")

    with pytest.raises(Malformed):
        read_back(raw)


def test_text_in_two_observations_of_one_name_is_not_read() -> None:
    """What a receiver would keep half of never leaves."""
    segments = render(an_oru_content("R", observations=())).split(b"\r")
    twice = b"\r".join((*segments[:-1], segments[-2].replace(b"OBX|2|", b"OBX|3|"), b""))

    with pytest.raises(Malformed):
        read_back(twice)


@pytest.mark.parametrize("status", STATUSES)
def test_synthetic_result_says_so(status: str) -> None:
    """A phantom's report must never pass for a patient's."""
    raw = an_oru(status, is_synthetic=True, processing_id="T")

    assert SYNTHETIC[Language.VIETNAMESE] in raw.decode()
    assert "synthetic" in raw.decode()
    assert tokenise(raw).header.processing_id == "T"


@pytest.mark.parametrize("status", STATUSES)
def test_signer_stands_in_final_and_corrected_results_alone(status: str) -> None:
    """OBR-32 and OBX-16 only with F or C."""
    raw = an_oru(status)

    interpreter = _obr(raw).field(32)
    observers = {s.field(16).component(1).text for s in _segments(raw, "OBX")[1:]}
    assert bool(interpreter) is (status in "FC")
    assert observers == ({"BS009"} if status in "FC" else {""})


@pytest.mark.parametrize("status", STATUSES)
def test_status_stands_in_result_and_in_every_observation(status: str) -> None:
    """OBR-25 with OBR-22; OBX-11 the same throughout, `O` for the study."""
    raw = an_oru(status)

    study, *others = _segments(raw, "OBX")
    assert _obr(raw).field(25).text == status
    assert _obr(raw).field(22).text == "20261122120000+0700"
    assert (study.field(11).text, study.field(5).text) == ("O", STUDY)
    assert {s.field(11).text for s in others} == {status}
    assert [s.field(1).text for s in (study, *others)] == [str(n) for n in range(1, len(others) + 2)]


def test_finding_keeps_identifier_and_sub_id_in_every_status() -> None:
    """Receivers replace by OBX-3 and OBX-4: a correction must hit what it corrects."""
    pairs = {
        status: {
            (s.field(3).raw, s.field(4).raw) for s in _segments(an_oru(status), "OBX") if s.field(18) or status == "X"
        }
        for status in STATUSES
    }

    assert pairs["R"] == pairs["P"] == pairs["F"] == pairs["C"]
    assert pairs["F"] <= pairs["X"]


def test_model_probability_and_times_have_their_own_fields() -> None:
    """OBX-9 probability, OBX-14 acquisition, OBX-17 and -18 method and model, OBX-19 analysis."""
    finding = next(s for s in _segments(an_oru("R"), "OBX") if s.field(9))

    assert finding.field(9).text == "0.934"
    assert finding.field(8).text == "A"
    assert finding.field(14).text == "20261122110000+0700"
    assert finding.field(17).component(1).text == "AI"
    assert [finding.field(18).component(n).text for n in (1, 2, 3, 4)] == [
        "ct-lung-density",
        "1.0.0",
        "2.25.123456789",
        "ISO",
    ]
    assert finding.field(19).text == "20261122115500+0700"


def test_hostile_text_stays_inside_its_field() -> None:
    """No content can add a segment, a field or an MLLP block."""
    hostile = 'a|b^c~d&e\\f\rOBX|9|TX|x||y\x0b\x1c\r\nNguyễn""'
    content = an_oru_content(narrative=hostile, observations=(a_remark(value=Text(value=hostile)),))

    raw = render(content)

    assert differences(content, read_back(raw)) == ()
    assert b"\x0b" not in raw
    assert b"\x1c" not in raw
    assert len(_segments(raw, "OBX")) == 3


def test_text_that_looks_like_a_deletion_is_not_one() -> None:
    """Two double quotes as a text must not delete what the receiver holds."""
    content = an_oru_content(narrative='""', observations=(a_remark(value=Text(value='""')),))

    assert differences(content, read_back(render(content))) == ()


def test_decomposed_vietnamese_is_sent_composed() -> None:
    """Receivers compare names byte by byte."""
    raw = render(an_oru_content(narrative="bi\u0323nh thu\u031bo\u031b\u0300ng"))

    assert "bịnh thường".encode() in raw


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("F", {"signer": None}),
        ("F", {"signed_at": None}),
        ("F", {"signer": Practitioner(id_number="BS009")}),
        ("C", {"reason": None}),
        ("F", {"reason": "x"}),
        ("R", {"signer": SIGNER, "signed_at": NOON}),
        ("P", {"signer": SIGNER}),
        ("X", {"signer": SIGNER, "signed_at": NOON}),
        ("X", {"reason": None}),
        ("X", {"observations": (a_volume(),)}),
        ("X", {"narrative": "text"}),
        ("F", {"narrative": " ", "observations": ()}),
        ("F", {"message_control_id": "x" * 21}),
        ("F", {"message_control_id": ""}),
        ("F", {"accept_acknowledgment_type": "AL"}),
        ("F", {"study_instance_uid": ""}),
        ("F", {"message_datetime": NOON.replace(tzinfo=None)}),
        ("F", {"observations": (a_volume(), a_volume())}),
        ("F", {"observations": (a_site(), a_volume(sub_id="2", body_site=LUNG))}),
        ("F", {"observations": (a_volume(),), "narrative": " ", "models": (ModelVersion(name="one", version="1"),)}),
        ("X", {"models": (ModelVersion(name="one", version="1"),)}),
        ("F", {"scheduled_at": NOON.replace(tzinfo=None)}),
        ("F", {"observations": (a_volume(value=Numeric(value="1e5")),)}),
        ("F", {"observations": (a_volume(value=Numeric(value="NaN")),)}),
        ("F", {"observations": (a_remark(value=Text(value=" ")),)}),
        ("F", {"observations": (a_site(probability="1.2"),)}),
        ("F", {"observations": (a_volume(sub_id=""),)}),
        ("F", {"observations": (a_volume(identifier=CodedElement(identifier="113014")),)}),
    ],
)
def test_content_against_the_rules_is_not_rendered(status: str, changes: dict[str, Any]) -> None:
    """A wrong message is worse than none: the error says which rule."""
    content = an_oru_content(status, **changes)

    with pytest.raises(NotRenderable):
        render(content)


def test_long_text_value_is_no_longer_st() -> None:
    """ST holds 199 characters at most (2.A.74)."""
    values = ("a" * 199, "a" * 200, "a\nb")
    observations = tuple(a_remark(sub_id=str(n), value=Text(value=value)) for n, value in enumerate(values))

    raw = render(an_oru_content(narrative="", observations=observations))

    assert [s.field(2).text for s in _segments(raw, "OBX")[1:]] == ["ST", "TX", "FT"]


def test_result_without_an_order_has_no_orc() -> None:
    """A study may be read without an order; numbers are never invented."""
    content = an_oru_content(placer_order_number=None, filler_order_number=None, accession_number=None, visit=None)

    raw = render(content)

    assert _segments(raw, "ORC") == ()
    assert differences(content, read_back(raw)) == ()


def test_differences_name_fields_and_not_values() -> None:
    """The gate's reason is logged and shown, so it holds no content."""
    content = an_oru_content()
    patient = dataclasses.replace(content.patient, birth_date="1998-05-12")
    other = dataclasses.replace(
        content, patient=patient, observations=(a_volume(), a_site(probability="0.5"), a_remark())
    )

    assert differences(content, other) == ("patient.birth_date", "observations[1].probability")


@pytest.mark.parametrize(
    ("put", "status"),
    [
        ({"OBX-11": "P"}, "F"),
        ({"OBX-16": "BS010^KHÁC"}, "F"),
        ({"OBX-14": "20200101000000+0700"}, "F"),
        ({"OBX-5": "1.2.3"}, "R"),
        ({"OBX-3": "1^x^y"}, "F"),
        ({"OBR-25": "Z"}, "F"),
        ({"MSH-19": "xx"}, "F"),
        ({"OBR-22": "soon"}, "F"),
        ({"PID-7": "soon"}, "F"),
    ],
)
def test_message_that_does_not_hang_together_is_not_read(put: dict[str, str], status: str) -> None:
    """A rendering with another status, observer or time inside is held, not sent."""
    raw = an_oru(status, put=put)

    with pytest.raises(Malformed):
        read_back(raw)


def test_changed_value_is_seen() -> None:
    """A wrong number in the rendering is what the gate is for."""
    content = an_oru_content()
    raw = render(content).replace(b"5512.4", b"5512.5")

    assert differences(content, read_back(raw)) == ("observations[0].value.value",)
