import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge, parse_ack
from overread.protocols.hl7.delimiters import STANDARD, escape, unescape
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.oru import render
from overread.protocols.hl7.oru_content import Text, differences
from overread.protocols.hl7.oru_reading import read_back
from overread.protocols.hl7.tokenise import read_header, tokenise
from tests.builders.hl7 import NOON, a_remark, an_omi, an_oru_content

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
HOSTILE = st.text(st.sampled_from('|^~\\&\r\n\x0b\x1cXFSTRE.br"ễ\u0323a '))
PIECES = st.sampled_from(
    [b"MSH|^~\\&|", b"PID|", b"OBX|", b"\r", b"\n", b"|", b"^", b"~", b"&", b"\\X", b"\\", b"\xff", b"\xe1\xbb\x85"]
)


def _outcome(raw: bytes, fallback_charset: str | None) -> str:
    """All that the message says, or the sentence of the error."""
    try:
        message = tokenise(raw, fallback_charset)
    except HL7Error as error:
        return error.sentence
    return "".join([segment.name + segment.field(number).text for segment in message for number in range(9)])


@given(text=TEXTS | HOSTILE)
def test_escaped_text_reads_back_as_itself(text: str) -> None:
    """Escaping loses nothing but the kind of line end and of composition (2.7)."""
    encoded = escape(text)

    meant = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    assert unescape(encoded, STANDARD, "utf-8") == meant
    assert not set(encoded) & set("|^~&\r\n\x0b\x1c")


@given(narrative=TEXTS | HOSTILE, value=TEXTS | HOSTILE)
def test_any_text_survives_a_result_message(narrative: str, value: str) -> None:
    """What is read back is what was rendered, whatever a clinician typed."""
    observation = a_remark(value=Text(value=f"x{value}x"))
    content = an_oru_content("C", narrative=narrative, observations=(observation,))

    assert differences(content, read_back(render(content))) == ()


@given(
    raw=st.lists(PIECES | st.binary(max_size=4), max_size=40).map(b"".join) | st.binary(),
    declared=st.sampled_from(["", "cp1258", "utf-8"]),
)
def test_any_bytes_are_a_message_or_a_clear_error(raw: bytes, declared: str) -> None:
    """No input crashes the tokenizer, and every one can be answered."""
    body = b"MSH|^~\\&|HIS|BVX|||1||ORM^O01|7|P|2.5.1\r" + raw

    for candidate in (raw, body):
        said = _outcome(candidate, declared or None)
        answer = acknowledge(read_header(candidate), AcknowledgmentCode.AE, now=NOON, control_id="1")

        assert "\ufffd" not in said
        assert parse_ack(answer).code is AcknowledgmentCode.AE


@given(cut=st.integers(0, 480))
def test_message_cut_anywhere_is_a_message_or_a_clear_error(cut: int) -> None:
    """A sender may die in the middle of a letter."""
    raw = an_omi()[:cut]

    said = _outcome(raw, None)

    assert said
