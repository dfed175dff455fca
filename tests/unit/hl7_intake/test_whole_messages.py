"""What a link does not do is refused with the reason and the place: parts of messages, batches, sequence numbers."""

from datetime import UTC, datetime

import pytest

from overread.hl7_intake.incoming import LinkRules
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.advice import what_to_change
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.sentences import key_of
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import an_omi, an_orm

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PART, BATCH, SEQUENCE = "continued-message", "batch", "sequence-number"


def test_what_to_change_is_said_of_each() -> None:
    """Not that a segment is missing, or that a time has the wrong form."""
    refused = (an_orm() + b"DSC|CP7\r", an_orm(put={"MSH-14": "C"}), b"BHS|\r", an_orm(put={"MSH-13": "1"}))

    advice = [what_to_change(_refused(raw)) for raw in refused]

    assert advice[0] == advice[1]
    assert [said.partition(" ")[0] for said in advice] == ["Switch", "Switch", "Send", "Switch"]
    assert "MSH-13" in advice[3]


def _refusal(raw: bytes) -> tuple[int, str, str | None]:
    """Condition, place and key of what a link that knows the sender says; the quick way must not let it pass either."""
    error = _refused(raw)
    return error.condition.value, str(error.location), key_of(error.sentence)


def _refused(raw: bytes) -> HL7Error:
    rules = LinkRules("site", Link(link_id="his"), UTC)
    rules.read(an_orm(control_id="BEFORE"), NOW)
    with pytest.raises(HL7Error) as caught:
        rules.read(raw, NOW)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (an_orm(put={"MSH-14": "CP7"}), "MSH^1^14"),
        (an_orm() + b"DSC|CP7|F\r", "DSC^1"),
        (an_orm().replace(b"\rZDS", b"\rADD|more of OBR\rZDS"), "ADD^1"),
        (an_omi() + b"DSC|CP7\r", "DSC^1"),
        (an_omi().replace(b"\r", b"\n") + b"DSC|CP7\n", "DSC^1"),
    ],
)
def test_part_of_a_message_is_refused(raw: bytes, place: str) -> None:
    """HL7 v2.5.1, 2.10.2: read alone it would say less, or something else, than the whole."""
    assert _refusal(raw) == (100, place, PART)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r" + an_orm() + b"BTS|1\rFTS|1\r", "FHS^1"),
        (b"BHS|^~\\&|HIS\r" + an_orm() + an_orm() + b"BTS|2\r", "BHS^1"),
        (an_orm() + b"BTS|1\r", "BTS^1"),
        (an_omi() + b"FTS|1\r", "FTS^1"),
        (b"BTS|1\r", "BTS^1"),
    ],
)
def test_batch_on_the_line_is_refused(raw: bytes, place: str) -> None:
    """HL7 v2.5.1, 2.10.3: one answer can't say how each message of a batch went."""
    assert _refusal(raw) == (100, place, BATCH)


@pytest.mark.parametrize("number", ["0", "-1", "1", "4711"])
def test_sequence_numbers_are_refused(number: str) -> None:
    """HL7 v2.5.1, 2.10.1 and 2.15.9.13: who values MSH-13 expects MSA-4, which nobody counts here."""
    assert _refusal(an_orm(put={"MSH-13": number})) == (102, "MSH^1^13", SEQUENCE)


@pytest.mark.parametrize(
    "raw",
    [
        an_orm(put={"MSH-13": " ", "MSH-14": " "}),
        an_orm() + b"DSC|\r",
        an_orm() + b"DSC||\r",
        an_orm(clinical="DSC ADD BTS FTS"),
        an_orm().replace(b"ZDS|", b"ZDS|DSC|"),
    ],
)
def test_whole_message_is_taken(raw: bytes) -> None:
    """Empty fields and a DSC without a pointer continue nothing; words in a text are no segments."""
    assert tokenise(raw).header.message_control_id == "HIS0002"
    assert LinkRules("site", Link(link_id="his"), UTC).read(raw, NOW).message_control_id == "HIS0002"
