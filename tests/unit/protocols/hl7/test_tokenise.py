import unicodedata

import pytest

from overread.protocols.hl7.charsets import codec_named
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import Leniency, Message, Value, read_header, tokenise
from tests.builders.hl7 import NAME, an_omi, an_orm

HEAD = b"MSH|^~\\&|HIS|BVX|||20261122||ORM^O01|1|P|2.3.1\r"


def _obx(value: bytes, head: bytes = HEAD) -> Value:
    segment = tokenise(head + b"OBX|1|TX|1||" + value + b"\r").segment("OBX")
    assert segment is not None
    return segment.field(5)


def _error(raw: bytes, fallback_charset: str | None = None) -> HL7Error:
    with pytest.raises(HL7Error) as caught:
        tokenise(raw, fallback_charset)
    return caught.value


def _names(message: Message) -> list[str]:
    return [segment.name for segment in message]


def test_header_fields_are_read_by_the_standards_numbers() -> None:
    """MSH-1 is the separator itself, so fields count from there (2.15.9)."""
    header = tokenise(an_omi()).header

    assert (header.message_code, header.trigger_event) == ("OMI", "O23")
    assert (header.message_control_id, header.processing_id, header.version_id) == ("HIS0001", "P", "2.5.1")
    assert header.field(18) == b"UNICODE UTF-8"


def test_fields_components_and_repetitions_are_cut_when_asked() -> None:
    """Repetitions part at ~, components at ^, subcomponents at & (2.5.3)."""
    value = _obx(rb"a&b^c~d^e")

    texts = [repetition.component(2).text for repetition in value.repetitions]

    assert texts == ["c", "e"]
    assert value.component(1).subcomponent(2).text == "b"
    assert value.component(9).text == ""
    assert not value.component(9)


def test_absent_and_null_are_different() -> None:
    """Two double quotes delete a value; an empty field says nothing (2.5.3)."""
    absent, null = _obx(b""), _obx(b'""')

    assert not absent
    assert not absent.is_null
    assert null
    assert null.is_null
    assert null.text == ""
    assert absent.repetitions == ()


def test_delimiters_come_from_the_message() -> None:
    """MSH-1 and MSH-2 name them; they are not always |^~ and & (2.5.4)."""
    segment = tokenise(b"MSH#*~!@#HIS#BVX\rPID#1##A*B@C!T!#x\r").segment("PID")

    assert segment is not None
    assert segment.field(3).component(2).subcomponent(1).text == "B"
    assert segment.field(3).component(2).subcomponent(2).text == "C@"


def test_truncation_character_of_v2_7_is_a_delimiter() -> None:
    """MSH-2 may hold a fifth character (v2.7)."""
    message = tokenise(b"MSH|^~\\&#|HIS\rOBX|1|TX|1||a\\P\\b\r")

    assert message.header.delimiters.truncation == "#"
    assert [segment.field(5).text for segment in message.segments("OBX")] == ["a#b"]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (rb"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (rb"one\.br\two", "one\ntwo"),
        (rb"one\.sp2\two\.sp+1\three\.SP\four", "one\n\ntwo\nthree\nfour"),
        (rb"\.ce\title\.sk3\|", "\ntitle   "),
        (rb"\.fi\a\.nf\b\.in+4\c\.ti-2\d", "abcd"),
        (rb"\.xx\a\.sp123\b\.in\c", r"\.xx\a\.sp123\b\.in\c"),
        (rb"\H\bold\N\ text", "bold text"),
        (rb"\X4869\ \XC3A9\ ", "Hi é "),
        (rb"\XE1\\XBB\\X85\ ", "ễ "),
        (rb"\X0D0A\next", "\nnext"),
        (rb"\Zmine\ \C1234\ C:\temp\x", r"\Zmine\ \C1234\ C:\temp\x"),
        (rb"\XFF\ \X4\ \X00\ ", r"\XFF\ \X4\ \X00\ "),
        (rb"50\% \E", r"50\% \E"),
    ],
)
def test_escape_sequences_are_replaced_and_unknown_ones_kept(sent: bytes, meant: str) -> None:
    """HL7 v2.5.1, 2.7: what is not known stays as it was sent."""
    value = _obx(sent, HEAD.replace(b"2.3.1\r", b"2.3.1||||||UNICODE UTF-8\r"))

    assert value.text == meant


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_any_line_end_ends_a_segment(end: bytes) -> None:
    """CR by the book; LF and CRLF are common and noted."""
    message = tokenise(an_orm().replace(b"\r", end))

    assert _names(message) == ["MSH", "PID", "PV1", "ORC", "OBR", "ZDS"]
    assert (Leniency.LINE_FEED in message.leniencies) is (end != b"\r")


def test_line_feed_inside_a_text_field_is_content() -> None:
    """Cutting there would lose the rest of the text without a word."""
    value = _obx(b"first line\nsecond line")

    assert value.text == "first line\nsecond line"


def test_line_that_is_no_segment_is_counted() -> None:
    """It is passed over (2.8.2) but not unseen."""
    message = tokenise(HEAD + b"OBX|1|TX|1||first\rsecond line of the text\r")

    assert _names(message) == ["MSH", "OBX"]
    assert message.stray_lines == 1


def test_one_byte_order_mark_is_stripped() -> None:
    """Many files and a few senders put one before MSH."""
    message = tokenise(b"\xef\xbb\xbf" + an_omi())

    assert message.header.message_control_id == "HIS0001"
    assert message.leniencies == (Leniency.BYTE_ORDER_MARK,)


@pytest.mark.parametrize(
    ("raw", "condition", "location"),
    [
        (b"", 100, "MSH^1"),
        (b"PID|1\r", 100, "MSH^1"),
        (b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|\r", 100, "FHS^1"),
        (b"BHS|^~\\&\rMSH|^~\\&|\r", 100, "BHS^1"),
        (b"BTS|1\r", 100, "BTS^1"),
        (b"MSH", 101, "MSH^1^2"),
        (b"MSH|", 101, "MSH^1^2"),
        (b"MSH|^^^^|HIS\r", 101, "MSH^1^2"),
        (b"MSHA^~\\&AHISA\r", 101, "MSH^1^2"),
        (HEAD + HEAD, 100, "MSH^2"),
        (HEAD.replace(b"2.3.1\r", b"2.3.1||||||KLINGON\r"), 103, "MSH^1^18"),
    ],
)
def test_unusable_message_is_refused_with_its_place(raw: bytes, condition: int, location: str) -> None:
    """ERR-2 and ERR-3 tell the sender what to mend."""
    error = _error(raw)

    assert (error.condition, str(error.location)) == (condition, location)


def test_bytes_outside_ascii_need_a_charset() -> None:
    """An empty MSH-18 means 7-bit ASCII: no guess, no mojibake."""
    error = _error(an_omi(without="MSH-18"))

    assert (error.condition, str(error.location)) == (102, "PID^1^5")
    assert "NGHI" not in str(error)


def test_fallback_charset_serves_a_link_that_leaves_msh_18_empty() -> None:
    """Old hospital systems send CP1258 and say nothing; the link's owner declares it."""
    decomposed = _cp1258(NAME)
    raw = an_omi(without=("MSH-18", "ORC-12"), name="NAME", clinical="ho").replace(b"NAME", decomposed, 1)

    message = tokenise(raw, "CP1258")

    pid = message.segment("PID")
    assert pid is not None
    assert pid.field(5).component(1).text == "THỬ NGHIỆM"
    assert Leniency.CHARACTER_SET in message.leniencies


def _cp1258(text: str) -> bytes:
    """CP1258 writes a letter, then its tone mark: Python's codec wants them apart."""
    encoded = b""
    for letter in text:
        decomposed = unicodedata.normalize("NFD", letter)
        base, marks = decomposed[0], decomposed[1:]
        kept = "".join(mark for mark in marks if mark in "\u0302\u0306\u031b")
        tone = "".join(mark for mark in marks if mark not in "\u0302\u0306\u031b")
        encoded += (unicodedata.normalize("NFC", base + kept) + tone).encode("cp1258")
    return encoded


def test_utf_8_under_a_single_byte_name_is_refused() -> None:
    """Any byte is a letter in 8859/1, so the wrong name would read as other letters without a word."""
    error = _error(an_omi(charset="utf-8", put={"MSH-18": "8859/1"}))

    assert error.condition == 102


def test_latin_1_is_read_as_latin_1() -> None:
    """The charset that MSH-18 names is the one that is used."""
    raw = an_omi(name="ESSAI^HÉLÈNE", clinical="toux", charset="latin-1", without=("OBR-16", "ORC-12"))
    raw = raw.replace(b"UNICODE UTF-8", b"8859/1")

    pid = tokenise(raw).segment("PID")

    assert pid is not None
    assert pid.field(5).component(2).text == "HÉLÈNE"


def test_charset_whose_letters_hold_delimiter_bytes_is_cut_right() -> None:
    """In GB 18030 a second byte may be ^ or |: decode first, then cut."""
    text = next(chr(c) for c in range(0x4E00, 0x9FFF) if b"|" in chr(c).encode("gb18030"))
    raw = HEAD.replace(b"2.3.1\r", b"2.3.1||||||GB 18030-2000\r") + b"OBX|1|TX|1||" + text.encode("gb18030") + b"|x\r"

    segment = tokenise(raw).segment("OBX")

    assert segment is not None
    assert segment.field(5).text == text
    assert segment.field(6).text == "x"


def test_text_is_nfc() -> None:
    """The same name typed on two systems must compare equal."""
    raw = an_omi(name=unicodedata.normalize("NFD", NAME))

    pid = tokenise(raw).segment("PID")

    assert pid is not None
    assert pid.field(5).component(1).text == "THỬ NGHIỆM"


def test_nul_bytes_are_no_text() -> None:
    """They mean UTF-16 or damage, and no database keeps them."""
    error = _error(HEAD + b"OBX|1|TX|1||a\x00b\r")

    assert (error.condition, str(error.location)) == (102, "OBX^1^5")


def test_segment_names_in_small_letters_are_understood() -> None:
    """A habit that leaves no doubt."""
    message = tokenise(HEAD + b"pid|1||77\r")

    assert _names(message) == ["MSH", "PID"]


def test_read_header_never_fails() -> None:
    """An answer is owed to a broken message too (2.9.2)."""
    empty, half = read_header(b"\x00\xff"), read_header(b"MSH|^~\\&|HIS|BVX|\xff")

    assert empty.message_control_id == ""
    assert half.field(3) == b"HIS"
    assert half.component(5, 1) == "\\xff"


def test_objects_show_no_content() -> None:
    """A value that slips into a log line must not carry the patient along."""
    message = tokenise(an_omi())
    pid = message.segment("PID")

    assert pid is not None
    assert "NGHI" not in repr(message) + repr(pid) + repr(pid.field(5))


def test_unknown_fallback_charset_is_refused_where_it_is_set() -> None:
    """A setting is checked at start, not with the first message."""
    with pytest.raises(LookupError):
        codec_named("no-such-charset")
