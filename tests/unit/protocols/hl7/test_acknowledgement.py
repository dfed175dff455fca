import pytest

from overread.protocols.hl7.acknowledgement import (
    AcknowledgmentCode,
    AcknowledgmentMode,
    acknowledge,
    code_for,
    mode_of,
    parse_ack,
    wants_accept_acknowledgment,
)
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.tokenise import Header, read_header
from tests.builders.hl7 import NOON, an_omi, an_orm

MISSING_ID = HL7Error(
    MessageErrorCondition.REQUIRED_FIELD_MISSING, ErrorLocation("PID", 1, 3), "Thiếu mã bệnh nhân | PID-3"
)


def _answer(header: Header, code: AcknowledgmentCode, error: HL7Error | None = None) -> list[str]:
    raw = acknowledge(header, code, now=NOON, control_id="OVR1", error=error)
    return raw.decode("utf-8").rstrip("\r").split("\r")


def test_answer_swaps_the_parties_and_echoes_the_control_id() -> None:
    """MSA-2 is MSH-10; MSH-3 to MSH-6 swap; MSH-11, -12 and -18 are the sender's (2.9.2)."""
    header = read_header(an_omi())

    msh, msa = _answer(header, AcknowledgmentCode.CA)

    assert msh == ("MSH|^~\\&|OVERREAD|BVX|HIS|BVX|20261122120000+0700||ACK^O23^ACK|OVR1|P|2.5.1|||||VNM|UNICODE UTF-8")
    assert msa == "MSA|CA|HIS0001"


def test_error_from_v2_5_on_is_told_in_its_own_fields() -> None:
    """ERR-2 location, ERR-3 code of HL70357, ERR-4 severity, ERR-8 words."""
    header = read_header(an_omi())

    *_, err = _answer(header, AcknowledgmentCode.CE, MISSING_ID)

    assert err == ("ERR||PID^1^3|101^Required field missing^HL70357|E||||Thiếu mã bệnh nhân \\F\\ PID-3")


NO_SERVICE = HL7Error(
    MessageErrorCondition.REQUIRED_FIELD_MISSING,
    ErrorLocation("OBR", 1, 4),
    "The universal service identifier (OBR-4) is missing.",
)
CODED = "ERR||OBR^1^4|101^Required field missing^HL70357|E|no-service^^99OVERREAD||"


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "|The universal service identifier (OBR-4) is missing."),
        ("vi", "The universal service identifier (OBR-4) is missing.|Thiếu mã dịch vụ (OBR-4)."),
        ("fr", "The universal service identifier (OBR-4) is missing.|L'identifiant de l'acte (OBR-4) manque."),
    ],
)
def test_error_is_told_in_the_links_language(language: Language, told: str) -> None:
    """ERR-5 the key, which is the same in all; ERR-8 for the users; ERR-7 in English for those who are called."""
    header = read_header(an_omi())

    raw = acknowledge(header, AcknowledgmentCode.CE, now=NOON, control_id="OVR1", error=NO_SERVICE, language=language)

    assert raw.decode().split("\r")[2] == CODED + told
    assert parse_ack(raw).text == told.rpartition("|")[2]


def test_error_before_v2_5_is_told_in_the_links_language_in_msa_3() -> None:
    """There the words are; the rest is for machines."""
    header = read_header(an_orm(version="2.4"))

    raw = acknowledge(header, AcknowledgmentCode.AE, now=NOON, control_id="OVR1", error=NO_SERVICE, language="vi")

    assert raw.decode().split("\r")[1:3] == [
        "MSA|AE|HIS0002|Thiếu mã dịch vụ (OBR-4).",
        "ERR|OBR^1^4^101&Required field missing&HL70357",
    ]


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"])
def test_fields_that_later_versions_withdrew_stay_empty(version: str) -> None:
    """MSA-3 to MSA-6 and ERR-1 are withdrawn as of v2.7, and were not needed since v2.5."""
    raw = an_omi(put={"MSH-2": "^~\\&#", "MSH-12": version})

    msh, msa, err = _answer(read_header(raw), AcknowledgmentCode.CE, NO_SERVICE)

    assert msh.startswith("MSH|^~\\&#|OVERREAD|BVX|HIS|BVX|")
    assert f"|ACK^O23^ACK|OVR1|P|{version}|" in msh
    assert msa == "MSA|CE|HIS0001"
    assert err.startswith(CODED)


@pytest.mark.parametrize(
    ("msh_18", "codec", "told"),
    [
        ("", "ascii", "Thieu ma dich vu (OBR-4)."),
        ("8859/1", "latin-1", "Thieu ma dich vu (OBR-4)."),
        ("VNI", "vni", "Thiếu mã dịch vụ (OBR-4)."),
        ("VISCII", "viscii", "Thieu ma dich vu (OBR-4)."),
        ("BIG-5", "big5", "Thieu ma dich vu (OBR-4)."),
        ("~ISO IR87", "ascii", "Thieu ma dich vu (OBR-4)."),
    ],
)
def test_words_are_written_in_the_senders_charset_or_in_ascii(msh_18: str, codec: str, told: str) -> None:
    """What is written can be cut by its bytes, and read in the set that MSH-18 of the answer names."""
    header = read_header(an_omi(put={"MSH-18": msh_18}))

    raw = acknowledge(header, AcknowledgmentCode.CE, now=NOON, control_id="OVR1", error=NO_SERVICE, language="vi")

    assert raw.decode(codec).split("\r")[2].endswith("|" + told)
    assert header.field(18) in raw


def test_answer_to_utf_16_does_not_say_that_it_is_utf_16() -> None:
    """It is in ASCII, so its MSH-18 stays empty."""
    header = read_header(an_omi(put={"MSH-18": "UNICODE UTF-16"}).decode().encode("utf-16"))

    msh, msa, _ = _answer(header, AcknowledgmentCode.CE, NO_SERVICE)

    assert msh.endswith("|P|2.5.1|||||VNM")
    assert msa == "MSA|CE|HIS0001"


def test_error_before_v2_5_is_told_in_err_1() -> None:
    """ERR has one field then; the words go to MSA-3."""
    header = read_header(an_orm(version="2.3.1"))

    _, msa, err = _answer(header, AcknowledgmentCode.AE, MISSING_ID)

    assert msa == "MSA|AE|HIS0002|Thiếu mã bệnh nhân \\F\\ PID-3"
    assert err == "ERR|PID^1^3^101&Required field missing&HL70357"


def test_words_lose_their_marks_where_the_senders_charset_has_none() -> None:
    """An ASCII sender gets letters it can show, never question marks or mojibake."""
    header = read_header(an_omi(without="MSH-18", clinical=""))

    *_, err = _answer(header, AcknowledgmentCode.CE, MISSING_ID)

    assert err.endswith("Thieu ma benh nhan \\F\\ PID-3")


def test_answer_uses_the_senders_delimiters() -> None:
    """What is echoed then needs no rewriting."""
    header = read_header(b"MSH#*~!@#HIS#BVX#US#BVX#20261122##ORM*O01#7#P#2.3.1\r")

    msh, msa = _answer(header, AcknowledgmentCode.AA)

    assert msh == "MSH#*~!@#US#BVX#HIS#BVX#20261122120000+0700##ACK*O01*ACK#OVR1#P#2.3.1"
    assert msa == "MSA#AA#7"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff garbage",
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&|HIS",
        b"MSH|^^^^|HIS|BVX|||||ORM^O01|77",
        b"MSH#||||#a|b#c#d#e#f##ORM^O01#7|7#P",
        b"MSH|^~\\&|HIS|BVX|||x||\x0bORM^\x1cO01|7\x0b7|P|9.9.x",
    ],
)
def test_half_readable_header_gets_an_answer_that_can_be_read(raw: bytes) -> None:
    """Every message gets one answer, and the answer is a message itself."""
    error = HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("MSH"), "No.")

    answer = acknowledge(read_header(raw), AcknowledgmentCode.AR, now=NOON, control_id="OVR1", error=error)

    read = parse_ack(answer)
    assert (read.code, read.text, read.error_condition) == (AcknowledgmentCode.AR, "No.", "100")
    assert b"\x0b" not in answer
    assert b"\x1c" not in answer


@pytest.mark.parametrize(
    ("accept", "application", "mode"),
    [
        ("", "", AcknowledgmentMode.ORIGINAL),
        ("AL", "NE", AcknowledgmentMode.ENHANCED),
        ("AL", "", AcknowledgmentMode.ENHANCED),
        ("", "AL", AcknowledgmentMode.ENHANCED),
    ],
)
def test_enhanced_mode_is_asked_for_by_msh_15_or_16(accept: str, application: str, mode: AcknowledgmentMode) -> None:
    """Both or neither by the book; one alone is taken as both."""
    header = read_header(an_omi(put={"MSH-15": accept, "MSH-16": application}))

    assert mode_of(header) is mode


@pytest.mark.parametrize(
    ("condition", "original", "enhanced"),
    [
        (None, "AA", "CA"),
        (101, "AE", "CE"),
        (205, "AE", "CE"),
        (200, "AR", "CR"),
        (201, "AR", "CR"),
        (202, "AR", "CR"),
        (203, "AR", "CR"),
        (207, "AR", "CE"),
    ],
)
def test_code_follows_mode_and_error(condition: int | None, original: str, enhanced: str) -> None:
    """2.9.2.2 and 2.9.3.1: reject what MSH-9, -11, -12 make impossible; our own trouble is AR or CE."""
    error = None if condition is None else HL7Error(MessageErrorCondition(condition), None, "x")

    codes = (code_for(AcknowledgmentMode.ORIGINAL, error), code_for(AcknowledgmentMode.ENHANCED, error))

    assert codes == (original, enhanced)


@pytest.mark.parametrize(
    ("condition", "on_success", "on_error"),
    [("AL", True, True), ("NE", False, False), ("ER", False, True), ("SU", True, False)],
)
def test_accept_answer_goes_out_when_the_sender_wants_it(condition: str, *, on_success: bool, on_error: bool) -> None:
    """MSH-15 (table HL70155)."""
    header = read_header(an_omi(put={"MSH-15": condition}))

    wanted = tuple(wants_accept_acknowledgment(header, code) for code in (AcknowledgmentCode.CA, AcknowledgmentCode.CE))

    assert wanted == (on_success, on_error)


def test_original_mode_is_always_answered() -> None:
    """Without MSH-15 and MSH-16 the sender waits for the one answer there is."""
    assert wants_accept_acknowledgment(read_header(an_orm()), AcknowledgmentCode.AE)


def test_ack_of_a_receiver_is_read() -> None:
    """The sender needs code, control ID, and what to show an operator."""
    raw = (
        "MSH|^~\\&|EMR|BVX|OVERREAD|BVX|20261122||ACK^R01^ACK|E1|P|2.5.1||||||UNICODE UTF-8\r"
        "MSA|AE|OVR0001\rERR||OBX^2^5|102^Data type error^HL70357|E||||Số không hợp lệ\r"
    ).encode()

    read = parse_ack(raw)

    assert (read.code, read.message_control_id) == (AcknowledgmentCode.AE, "OVR0001")
    assert not read.code.is_positive
    assert (read.error_condition, read.error_location, read.text) == ("102", "OBX^2^5", "Số không hợp lệ")


def test_old_ack_is_read() -> None:
    """Before v2.5 the place is in ERR-1 and the words in MSA-3."""
    raw = b"MSH|^~\\&|EMR|BVX|||20261122||ACK|E1|P|2.3\rMSA|AR|OVR1|no such patient\rERR|PID^1^3^204&Unknown key\r"

    read = parse_ack(raw)

    assert (read.code, read.text) == (AcknowledgmentCode.AR, "no such patient")
    assert (read.error_condition, read.error_location) == ("204", "PID^1^3")


@pytest.mark.parametrize(
    "msh_18", ["NOT-A-CHARSET", "UNICODE UTF-8", "UNICODE UTF-16", "ISO IR87", "BIG-5", "ASCII~KOI8"]
)
@pytest.mark.parametrize("words", ["\xff\xfe", "\x1b$Bx", "\\M2442\\x", "\xe9"])
def test_ack_with_broken_words_still_counts(msh_18: str, words: str) -> None:
    """A receiver's wrong charset must not turn a yes into a resend."""
    header = f"MSH|^~\\&|EMR||||20261122||ACK|E1|P|2.3|17|||||{msh_18}"
    raw = f"{header}\rMSA|AA|OVR1|{words}\r".encode("latin-1")

    read = parse_ack(raw)

    assert (read.code, read.message_control_id) == (AcknowledgmentCode.AA, "OVR1")


@pytest.mark.parametrize(
    "raw", [b"", b"MSH|^~\\&|EMR\r", b"MSH|^~\\&|EMR\rMSA|\r", b"MSH|^~\\&|EMR\rMSA|OK|1\r", b"\x06"]
)
def test_what_is_no_ack_is_refused(raw: bytes) -> None:
    """Nothing but a code of table HL70008 is an answer."""
    with pytest.raises(HL7Error):
        parse_ack(raw)
