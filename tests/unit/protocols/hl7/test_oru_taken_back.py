"""What holds no more: findings that a later result does not state, and signed results that are taken back as a whole."""

import dataclasses
from typing import Any

import pytest

from overread.protocols.hl7.errors import NotRenderable
from overread.protocols.hl7.oru import render
from overread.protocols.hl7.oru_content import (
    SYNTHETIC,
    WITHDRAWN,
    Language,
    OruContent,
    TakenBack,
    differences,
    without_value,
)
from overread.protocols.hl7.oru_reading import Unfaithful, read_back
from overread.protocols.hl7.tokenise import Segment, tokenise
from tests.builders.hl7 import a_remark, a_site, a_volume, a_withdrawn_content, an_oru_content

RETRACTING = {"observations": (a_volume(),), "retracted": (without_value(a_remark()),)}


def observations_of(raw: bytes) -> tuple[Segment, ...]:
    """Return every OBX after the study's."""
    return tokenise(raw).segments("OBX")[1:]


@pytest.mark.parametrize("status", list("RPFC"))
def test_a_finding_that_is_not_stated_any_more_is_deleted(status: str) -> None:
    """A receiver keeps what it was told: the OBX of the same identifier and sub-ID comes with D (table HL70085)."""
    content = an_oru_content(status, **RETRACTING)

    raw = render(content)

    assert [segment.field(11).text for segment in observations_of(raw)][-2:] == [status, "D"]
    assert observations_of(raw)[-1].field(5).text == ""
    assert differences(content, read_back(raw)) == ()


def test_the_site_of_a_finding_is_deleted_with_it() -> None:
    """It was told as an observation of its own, and a receiver keeps it as such."""
    content = an_oru_content("C", observations=(a_volume(),), retracted=(without_value(a_site()),))

    raw = render(content)

    finding, site = observations_of(raw)[-2:]
    assert site.field(3).component(1).text == "363698007"
    assert {(s.field(4).text, s.field(5).text, s.field(11).text) for s in (finding, site)} == {("2", "", "D")}
    assert differences(content, read_back(raw)) == ()


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(("taken_back", "of_text"), [(TakenBack.DELETED, "C"), (TakenBack.WRONG_PATIENT, "W")])
def test_a_result_that_is_taken_back_says_so_and_has_no_value(
    taken_back: TakenBack, of_text: str, language: Language
) -> None:
    """After a final X is not allowed: OBR-25 is C, OBX-11 D, or W for the wrong patient (HL7 v2.5.1, OBX-11)."""
    content = a_withdrawn_content(taken_back, language=language, is_synthetic=True)

    raw = render(content)

    text, *findings = observations_of(raw)
    assert tokenise(raw).segments("OBR")[0].field(25).text == "C"
    assert text.field(11).text == of_text
    lines = [line.text for line in text.field(5).repetitions]
    assert lines == [WITHDRAWN[language], SYNTHETIC[language], "Nhầm bệnh nhân"]
    assert {(segment.field(5).text, segment.field(11).text) for segment in findings} == {("", taken_back.value)}
    assert differences(content, read_back(raw)) == ()


BROKEN: dict[str, dict[str, Any]] = {
    "another status": {"status": an_oru_content("F").status, "reason": None},
    "still states something": {"observations": (a_volume(sub_id="9"),)},
    "keeps a value": {"retracted": (a_volume(),)},
    "the same finding twice": {"retracted": (without_value(a_volume()), without_value(a_volume()))},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_withdrawal_that_is_none_is_refused(fault: str) -> None:
    """It states nothing, keeps no value, and is a correction of what was signed."""
    content: OruContent = dataclasses.replace(a_withdrawn_content(TakenBack.DELETED), **BROKEN[fault])

    with pytest.raises(NotRenderable):
        render(content)


@pytest.mark.parametrize(
    ("said", "instead"), [("|W|", "|C|"), (WITHDRAWN[Language.VIETNAMESE], "KẾT QUẢ"), ("|||||||W|", "|||||||F|")]
)
def test_a_withdrawal_that_reads_otherwise_is_unfaithful(said: str, instead: str) -> None:
    """One segment with another status, or without the sentence, and the gate holds it."""
    raw = render(a_withdrawn_content(TakenBack.WRONG_PATIENT)).replace(said.encode(), instead.encode(), 1)

    with pytest.raises(Unfaithful):
        read_back(raw)
