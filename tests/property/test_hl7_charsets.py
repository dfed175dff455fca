"""Text in any set is read as it was meant, or refused: never as other letters. And a bounded, seeded storm of bytes."""

import random
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge, parse_ack
from overread.protocols.hl7.charsets import CHARSETS, codec_named
from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import Message, read_header, tokenise
from tests.builders.hl7 import NOON, an_omi
from tests.builders.vietnamese import LETTERS, in_cp1258

VIETNAMESE = st.text(st.sampled_from("".join(LETTERS) + " abcNGH,.-"), min_size=1)
ANY = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
NAMES = sorted(name for name, codec in CHARSETS.items() if not codec.startswith("switched"))
OLD_SETS = ["tcvn3", "tcvn5712", "viscii", "vni", "cp1258", "8859/1", "8859/15", "CP1252"]
MESSAGES = 4_000
PIECES = (
    [b"MSH|^~\\&|", b"PID|", b"OBX|1|TX|", b"DSC|", b"BTS|", b"\r", b"\n", b"|", b"^", b"~", b"&", b"\\", b'""']
    + [b"\x1b$B", b"\x1b(B", b"\x1b-A", b"\x1b$(D", b"\x1b)I", b"\\C2842\\", b"\\C2D41\\", b"\\M2442\\", b"\\M242844\\"]
    + [
        b"\\X",
        b"\\XE1BB\\",
        b"\\.br\\",
        b"\\.sp9\\",
        b"\\H\\",
        b"\\P\\",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x00",
        b"\x0b",
    ]
    + ["Nguyễn".encode(), in_cp1258("Nguyễn"), b"Nguy\xd4n", b"a\xf9", b"\xd0\xa3ng"]
    + ["山田".encode(codec) for codec in ("gb18030", "big5", "iso2022_jp", "utf-8")]
)


def _message(value: bytes, msh_18: str) -> bytes:
    head = f"MSH|^~\\&|HIS|BVX|||20261122||ORU^R01|7|P|2.5.1||||||{msh_18}\r"
    return head.encode("ascii") + b"OBX|1|TX|1||" + value + b"|unit\r"


def _said(raw: bytes, fallback: str | None = None) -> tuple[str, str] | None:
    """OBX-5 and OBX-6, or None for a refusal."""
    try:
        obx = tokenise(raw, fallback).segment("OBX")
    except HL7Error:
        return None
    assert obx is not None
    return obx.field(5).text, obx.field(6).text


def _is_utf_8(content: bytes) -> bool:
    try:
        return bool(content.decode())
    except UnicodeDecodeError:
        return False


@given(text=ANY | VIETNAMESE, name=st.sampled_from(NAMES))
def test_what_is_read_is_what_was_written(text: str, name: str) -> None:
    """In its own set a text reads as itself; a few that are valid UTF-8 by chance are refused, none is another text."""
    try:
        written = escape(text).encode(codec_named(name))
    except UnicodeEncodeError:
        assume(False)

    said = _said(_message(written, name))

    meant = unicodedata.normalize("NFC", text)
    assert said in (None, (meant, "unit"))
    assert said is not None or not text.isascii()


@given(text=VIETNAMESE, name=st.sampled_from(["tcvn3", "tcvn5712", "viscii", "vni"]))
def test_fallback_reads_old_vietnamese_or_refuses(text: str, name: str) -> None:
    """A link's declared set under an empty MSH-18; ABC fonts have small letters only, and a few capitals."""
    meant = unicodedata.normalize("NFC", text.lower() if name == "tcvn3" else text)

    said = _said(_message(meant.encode(name), ""), name)

    assert said in (None, (meant, "unit"))


@given(text=VIETNAMESE, name=st.sampled_from(["tcvn3", "viscii", "vni"]), declared=st.sampled_from(["", "UTF-8"]))
def test_a_wrong_name_is_put_right_by_the_link_or_refused(text: str, name: str, declared: str) -> None:
    """MSH-18 says UTF-8 and the bytes are not: the link's set is read, never another."""
    meant = unicodedata.normalize("NFC", text.lower() if name == "tcvn3" else text)
    written = meant.encode(name)
    assume(declared == "" or not _is_utf_8(written))

    said = _said(_message(written, declared), name)

    assert said in (None, (meant, "unit"))


@given(text=VIETNAMESE)
def test_cp1258_is_joined_to_the_letters_that_were_typed(text: str) -> None:
    """Letter and tone mark come apart on Windows, and are one in normal form C."""
    said = _said(_message(in_cp1258(text), "CP1258"))

    assert said == (unicodedata.normalize("NFC", text), "unit")


@given(text=VIETNAMESE, name=st.sampled_from(OLD_SETS))
def test_utf_8_under_another_name_is_refused(text: str, name: str) -> None:
    """The mistake that makes mojibake: a system was renewed, its MSH-18 or the link's setting was not."""
    assume(not text.isascii())

    assert _said(_message(text.encode(), name)) is None
    assert _said(_message(text.encode(), ""), codec_named(name)) is None


@given(text=VIETNAMESE, name=st.sampled_from(["tcvn3", "viscii", "vni", "cp1258"]))
def test_old_vietnamese_under_the_name_of_utf_8_is_refused(text: str, name: str) -> None:
    """What is no UTF-8 is no text; a pair of letters that is UTF-8 by chance is what nobody can tell."""
    written = in_cp1258(text) if name == "cp1258" else unicodedata.normalize("NFC", text.lower()).encode(name)
    assume(not _is_utf_8(written))

    assert _said(_message(written, "UNICODE UTF-8")) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_bytes_is_messages_or_clear_errors(seed: int) -> None:
    """Bounded fuzzing, the same each time: whatever comes is read to its last field or refused, and answered once."""
    chance = random.Random(seed)
    names = [*CHARSETS, "", "~ISO IR87", "ASCII~8859/1", "UNICODE UTF-8~ISO IR159", "UNICODE UTF-16", "KLINGON", "~~~"]
    fallbacks = [None, "tcvn3", "vni", "viscii", "cp1258", "utf-8"]
    read = 0

    for _ in range(MESSAGES):
        raw = _storm(chance, names)
        try:
            message = tokenise(raw, chance.choice(fallbacks))
        except HL7Error:
            pass
        else:
            read += 1
            assert "\ufffd" not in "".join(_everything(message))
        answer = acknowledge(read_header(raw), AcknowledgmentCode.AE, now=NOON, control_id="1")
        assert parse_ack(answer).code is AcknowledgmentCode.AE

    assert MESSAGES * 0.1 < read < MESSAGES * 0.9


def _storm(chance: random.Random, names: list[str]) -> bytes:
    """A message with a few bytes changed, moved or put in between, under any name of a character set."""
    head = (
        an_omi(put={"MSH-18": chance.choice(names)}) if chance.random() < 0.5 else _message(b"", chance.choice(names))
    )
    content = bytearray(head + b"OBX|1|TX|1||" + b"".join(chance.choices(PIECES, k=chance.randrange(6))) + b"\r")
    for _ in range(chance.choice([0, 0, 1, 3])):
        place = chance.randrange(len(content))
        content[place : place + chance.randrange(3)] = chance.choice([*PIECES, bytes([chance.randrange(256)])])
    return bytes(content)


def _everything(message: Message) -> list[str]:
    return [
        part.text
        for segment in message
        for number in range(1, segment.last_field + 1)
        for field in segment.field(number).repetitions
        for part in (field, field.component(1), field.component(2), field.subcomponent(1), field.subcomponent(2))
    ]
