"""Our tables of old Vietnamese sets beside those of other people: `iconv` of the C library, where there is one."""

import shutil
import subprocess
import unicodedata

import pytest

from overread.protocols.hl7.charsets import codec_named
from tests.builders.vietnamese import LETTERS, in_cp1258

ASCII_AND_RIGHT_HALF = bytes([*range(0x20, 0x7F), *range(0xA0, 0x100)])
NO_LINE_ENDS = bytes(code for code in range(0x100) if code not in (0x0A, 0x0D))


def _iconv(name: str, content: bytes) -> str:
    if shutil.which("iconv") is None:
        pytest.skip("no iconv on the path: the tables were not compared")
    command = ["iconv", "-f", name, "-t", "UTF-8"]
    listed = subprocess.run(command, input=b"", capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"this iconv does not know {name}")
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize(
    ("ours", "theirs", "codes"),
    [
        ("tcvn5712", "TCVN5712-1", NO_LINE_ENDS),
        ("tcvn3", "TCVN5712-1", ASCII_AND_RIGHT_HALF),
        ("viscii", "VISCII", NO_LINE_ENDS),
    ],
)
def test_every_code_is_what_iconv_says(ours: str, theirs: str, codes: bytes) -> None:
    """A line for each code, since iconv joins a letter and the tone after it."""
    lines = b"\n".join(bytes([code]) for code in codes)

    assert lines.decode(codec_named(ours)) == _iconv(theirs, lines)


def test_letters_of_cp1258_are_what_iconv_says() -> None:
    """Python's codec reads what Windows writes: letter, then tone."""
    written = b"\n".join(in_cp1258(letter) for letter in LETTERS)

    theirs = unicodedata.normalize("NFC", _iconv("CP1258", written))

    assert theirs.split("\n") == list(LETTERS)
    assert unicodedata.normalize("NFC", written.decode("cp1258")) == theirs
