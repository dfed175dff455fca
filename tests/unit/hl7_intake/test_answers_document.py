"""The chapters *Answers* and *Text* of docs/hl7.md: each message is answered, and each text read, as they say."""

import asyncio
import re
import tomllib
from typing import Any

import pytest

from overread.embedded.places import CHECKOUT
from overread.protocols.hl7.charsets import CHARSETS, codec_for
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.sentence_table import SENTENCES
from overread.protocols.hl7.tokenise import tokenise
from tests.fakes.hl7_intake import FakeBroker, an_intake

_PAGE = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8")
_ANSWERS = _PAGE.partition("\n## Answers\n")[2].partition("\n## ")[0]
_TEXT = _PAGE.partition("\n## Text\n")[2].partition("\n## ")[0]
_BLOCKS = re.findall(r"^```hl7\n(.*?)\n```$", _ANSWERS, re.MULTILINE | re.DOTALL)
_SETTINGS: dict[str, Any] = tomllib.loads(re.findall(r"^```toml\n(.*?)^```$", _ANSWERS, re.MULTILINE | re.DOTALL)[0])
_OWN = re.compile(r"^(MSH(?:\|[^|]*){5})\|[^|]*((?:\|[^|]*){2})\|[^|]*")
HEAD = b"MSH|^~\\&|HIS|BVX|||20261122||ORU^R01|7|P|2.5.1||||||"


def _without_own(answer: str) -> str:
    """Leave out MSH-7 and MSH-10, which each answer has its own of."""
    return _OWN.sub(r"\1|\2|", answer)


@pytest.mark.parametrize(("message", "answer"), [*zip(_BLOCKS[::2], _BLOCKS[1::2], strict=True)])
async def test_each_message_of_the_chapter_is_answered_as_it_says(message: str, answer: str) -> None:
    """To the byte, but for the answer's own time and number."""
    raw = message.replace("\n", "\r").encode() + b"\r"

    written = await asyncio.wait_for(an_intake(FakeBroker(), **_SETTINGS).begin(raw), 1)

    assert written is not None
    assert _without_own(written.decode().rstrip("\r").replace("\r", "\n")) == _without_own(answer)


def test_keys_of_the_chapter_are_keys_of_the_table() -> None:
    """A sender's programmer may rely on them."""
    named = set(re.findall(r"\| \d{3}, `([a-z0-9-]+)`", _ANSWERS))

    assert len(named) == 4
    assert named <= {sentence.key for sentence in SENTENCES}


def test_sets_of_the_chapter_are_taken_or_refused_as_it_says() -> None:
    """The last row is what is refused."""
    table = _TEXT.partition("| MSH-18 | read as |")[2].partition("\n\n")[0]
    *taken, refused = [re.findall("`([^`]+)`", line.split(" | ")[0]) for line in table.split("\n")[2:]]

    assert all(name in CHARSETS for names in taken for name in names)
    for name in refused:
        with pytest.raises(HL7Error):
            codec_for(name, None)


@pytest.mark.parametrize(
    ("fallback", "shown", "meant"), re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.+?) \|$", _TEXT, re.MULTILINE)
)
def test_old_vietnamese_is_read_as_the_chapter_says(fallback: str, shown: str, meant: str) -> None:
    """With MSH-18 empty, and with one that says UTF-8."""
    for msh_18 in (b"", b"UNICODE UTF-8"):
        raw = HEAD + msh_18 + b"\rOBX|1|TX|1||" + shown.encode("latin-1") + b"\r"

        obx = tokenise(raw, fallback).segment("OBX")

        assert obx is not None
        assert obx.field(5).text == meant


@pytest.mark.parametrize(("sent", "meant"), [("TRÇN THÞ HOµ", "TRầN THị HOà")])
def test_capitals_of_abc_fonts_are_read_as_the_chapter_says(sent: str, meant: str) -> None:
    """What can't be told is not guessed."""
    assert f"`{sent}` is read as `{meant}`" in _TEXT
    assert sent.encode("latin-1").decode("tcvn3") == meant


def test_escapes_are_read_as_the_chapter_says() -> None:
    """Each row of the table."""
    table = _TEXT.partition("### Escapes")[2].partition("| --- | --- |\n")[2].partition("\n\n")[0]
    rows = [re.findall("`([^`]+)`", line) for line in table.split("\n")]

    for sent, *meant in rows:
        obx = tokenise(HEAD + b"UNICODE UTF-8\rOBX|1|TX|1||" + sent.encode() + b"\r").segment("OBX")
        assert obx is not None
        assert obx.field(5).text == (meant[0].replace("⏎", "\n").replace(r"\|", "|") if meant else sent)
    assert len(rows) == 9
