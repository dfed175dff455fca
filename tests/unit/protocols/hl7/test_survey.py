"""What a recorded day says about its sender."""

import unicodedata
from typing import Any

import pytest

from overread.cli.hl7_propose import doubts, link_of, proposal, table
from overread.cli.mllp_answers import Script
from overread.protocols.hl7.charset_guess import charset_seen
from overread.protocols.hl7.resend import readdressed
from overread.protocols.hl7.survey import survey
from tests.builders.events import NOON
from tests.builders.hl7 import NAME, an_omi, an_orm

FIELDS = {"IPC-1": "", "OBR-18": "", "OBR-3": "", "ORC-3": ""}


def a_day(place: str, count: int = 5) -> list[bytes]:
    """Orders that keep their accession number in one place only."""
    return [
        an_orm(control_id=f"D{n}", placer=f"ORD{n}^HIS", put={**FIELDS, place: f"ACC{n:05d}"}) for n in range(count)
    ]


@pytest.mark.parametrize("place", ["OBR-18", "OBR-3", "OBR-19", "OBR-20"])
def test_the_accession_number_is_found_where_it_tells_orders_apart(place: str) -> None:
    """Every order has it, and each another one."""
    assert survey(a_day(place)).accession_place() == place


@pytest.mark.parametrize(("written", "place"), [(b"ACC%05d", "ZVN-2"), (b"VN^ACC%05d^BVT", "ZVN-2.2")])
def test_the_accession_number_is_found_in_a_z_segment(written: bytes, place: str) -> None:
    """Some makers keep it in a segment of their own, when no field of the standard holds it, or in a part of a field."""
    day = [raw + b"ZVN|X|" + written % n + b"\r" for n, raw in enumerate(a_day("ORC-5"))]

    assert survey(day).accession_place() == place
    assert f'accession_places = ["{place}"]' in proposal(survey(day))


def test_a_field_that_is_the_same_everywhere_is_no_accession_number() -> None:
    """OBR-20 with the name of a department is filled too."""
    day = [an_orm(control_id=f"D{n}", placer=f"ORD{n}^HIS", put={**FIELDS, "OBR-20": "XRAY1"}) for n in range(5)]

    assert survey(day).accession_place() is None


@pytest.mark.parametrize("codec", ["utf-8", "cp1258", "tcvn3", "vni"])
def test_a_charset_that_nobody_declared_is_guessed_by_its_letters(codec: str) -> None:
    """In the right one nearly every marked letter is Vietnamese; in the others they are symbols."""
    text = "Nguyễn Thị Hương, nốt mờ ở đáy phổi phải"
    raw = (_for_1258(text) if codec == "cp1258" else text).encode(codec)

    assert charset_seen(raw) == codec


def _for_1258(text: str) -> str:
    """Compose all but the tones, as Windows-1258 writes Vietnamese."""
    decomposed = unicodedata.normalize("NFD", text)
    for letter in "âêôăơưÂÊÔĂƠƯ":
        decomposed = decomposed.replace(unicodedata.normalize("NFD", letter), letter)
    return decomposed


def test_noise_is_no_charset() -> None:
    """Better no guess than a wrong one."""
    assert charset_seen(bytes(range(0xA1, 0xC0))) == "unknown"


def test_an_undeclared_charset_becomes_the_links_fallback() -> None:
    """MSH-18 is empty and the bytes are UTF-8: the link must say so, or each message is refused."""
    seen = survey([an_orm(put={"MSH-18": ""})])

    assert link_of(seen)["fallback_charset"] == "utf-8"


def test_reused_control_ids_are_told_from_repeats() -> None:
    """A counter that starts anew each day needs MSH-7 in the key of repeats."""
    one = an_orm(control_id="1", placer="A^HIS")
    other = readdressed(an_orm(control_id="1", placer="B^HIS"), sent_at=NOON)

    seen = survey([one, one, other])

    assert (seen.repeats, seen.reused_control_ids) == (1, 1)
    assert link_of(seen)["duplicate_key_has_message_datetime"] is True


def test_what_is_printed_holds_no_patient() -> None:
    """REQ-TOOL-02: counts and codes only."""
    seen = survey([an_omi(), an_orm(), b"hello"])

    said = "\n".join((*table(seen), *proposal(seen)))

    assert [secret for secret in (NAME.split("^")[0], "BN000123", "001099012345") if secret in said] == []
    assert "24627-2 · CT Chest · LN" in said


def test_a_new_control_id_changes_nothing_else() -> None:
    """MSH-7 and MSH-10 alone; a short header is filled up to them."""
    raw = an_orm()

    assert readdressed(readdressed(raw, control_id="X1"), control_id="HIS0002") == raw
    assert readdressed(b"MSH|^~\\&|A\rPID|1\r", control_id="X1") == b"MSH|^~\\&|A|||||||X1\rPID|1\r"
    assert readdressed(b"hello", control_id="X1") == b"hello"


def an_enhanced(application: str, **told: Any) -> bytes:
    return an_omi(**{"put": {"MSH-15": "AL", "MSH-16": application}, **told})


def test_a_receiver_that_answers_aa_in_enhanced_mode_shows_what_its_sender_waits_for() -> None:
    """Between HIS and RIS the recorder hears the real answers: AA where the standard says CA."""
    message = an_enhanced("NE", control_id="D1")
    aa, ca = (Script((code,))(message) or b"" for code in ("AA", "CA"))

    waits, by_the_book = survey([message], [aa]), survey([message], [ca])

    assert link_of(waits)["answers_application_ack_on_the_line"] is True
    assert "answers_application_ack_on_the_line" not in link_of(by_the_book)
    assert not any("MSH-16" in line for line in doubts(by_the_book))


def test_a_sender_that_sends_again_what_was_answered_ca_waits_for_aa() -> None:
    """It asks for application answers (MSH-16), and the recorder, alone, said CA."""
    message = an_enhanced("AL")

    assert link_of(survey([message, message]))["answers_application_ack_on_the_line"] is True
    assert "answers_application_ack_on_the_line" not in link_of(survey([an_orm(), an_orm()]))


def test_msh_16_alone_is_a_question_for_the_maker() -> None:
    """By the standard its answer comes on another connection: only the maker knows where the sender listens."""
    said = [*proposal(survey([an_enhanced("AL")]))]

    assert "# answers_application_ack_on_the_line = true" in said
    assert "answers_application_ack_on_the_line" not in link_of(survey([an_enhanced("AL")]))
    assert [*doubts(survey([an_enhanced("NE", processing_id="P")]))] == []


def test_a_day_of_tests_proposes_no_link_that_refuses_real_messages() -> None:
    """REQ-TOOL-09: processing_ids = ["T"] would answer CR to the first real order; it is said, and left open."""
    tests, real = (survey([an_omi(processing_id=name)]) for name in ("T", "P"))

    assert "processing_ids" not in link_of(tests)
    assert link_of(real)["processing_ids"] == ["P"]
    assert any('processing_ids = ["P"]' in line for line in doubts(tests))
    assert [*doubts(real)] == []
