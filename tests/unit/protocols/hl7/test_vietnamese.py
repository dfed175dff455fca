"""Vietnamese codecs: every letter, both ways, and nothing guessed; iconv judges in contract/test_charset_referees.py."""

import codecs
import time
import unicodedata

import pytest

from overread.protocols.hl7 import charsets, vietnamese
from tests.builders.vietnamese import LETTERS, in_cp1258

# VNI Software's fonts: what stands over or under a letter, after it; from the Unicode marks of the letter itself.
VNI_SIGNS = {
    ("", "\u0301"): "ù",
    ("", "\u0300"): "ø",
    ("", "\u0309"): "û",
    ("", "\u0303"): "õ",
    ("", "\u0323"): "ï",
    ("\u0302", ""): "â",
    ("\u0302", "\u0301"): "á",
    ("\u0302", "\u0300"): "à",
    ("\u0302", "\u0309"): "å",
    ("\u0302", "\u0303"): "ã",
    ("\u0302", "\u0323"): "ä",
    ("\u0306", ""): "ê",
    ("\u0306", "\u0301"): "é",
    ("\u0306", "\u0300"): "è",
    ("\u0306", "\u0309"): "ú",
    ("\u0306", "\u0303"): "ü",
    ("\u0306", "\u0323"): "ë",
}
VNI_OWN = {"í": "í", "ì": "ì", "ỉ": "æ", "ĩ": "ó", "ị": "ò", "ỵ": "î", "đ": "ñ", "ơ": "ô", "ư": "ö"}


def _vni(letter: str) -> bytes:
    small = letter.lower()
    base, *marks = list(unicodedata.normalize("NFD", small))
    tone = "".join(mark for mark in marks if mark not in "\u0302\u0306\u031b")
    horn = unicodedata.normalize("NFC", base + "\u031b") if "\u031b" in marks else ""
    shape = "".join(mark for mark in marks if mark in "\u0302\u0306")
    written = VNI_OWN.get(small) or VNI_OWN.get(horn, base) + VNI_SIGNS[shape, tone]
    return (written if letter.islower() else written.upper()).encode("latin-1")


def test_there_are_134_letters() -> None:
    """67 in each case."""
    assert len(set(LETTERS)) == 134


@pytest.mark.parametrize("name", ["tcvn5712", "viscii", "vni"])
def test_every_letter_is_written_and_read_back(name: str) -> None:
    """Encodings that have all 134 letters lose none."""
    text = "".join(LETTERS) + "THỬ NGHIỆM, Nguyễn Thị Dương; 50 %"

    assert text.encode(name).decode(name) == text


def test_vni_writes_a_letter_and_its_sign() -> None:
    """The two bytes of each letter, from its Unicode marks; and a sentence as other converters give it."""
    for letter in LETTERS:
        assert _vni(letter).decode("vni") == letter
        assert letter.encode("vni") == _vni(letter)

    assert "Xin chaøo caùc baïn".encode("latin-1").decode("vni") == "Xin chào các bạn"


def test_vni_takes_the_case_of_the_letter() -> None:
    """Some keyboards write a small sign after a capital; the font shows the capital."""
    assert "Aù Ngoïc AÙ".encode("latin-1").decode("vni") == "Á Ngọc Á"


@pytest.mark.parametrize("stray", ["nù", "ù", "aùø", "yâ", "ôâ", "ç", "þ", "aª", "H\xd8"])
def test_what_vni_cannot_mean_is_no_text(stray: str) -> None:
    """Another set's bytes must not turn into letters without a word."""
    with pytest.raises(UnicodeDecodeError):
        stray.encode("latin-1").decode("vni")


def test_tcvn3_reads_what_abc_fonts_write() -> None:
    """TCVN 5712:1993, VN3; all small letters, and capitals without tone."""
    small = [letter for letter in LETTERS if letter.islower()]

    assert all(letter.encode("tcvn3").decode("tcvn3") == letter for letter in [*small, *"ĂÂÊÔƠƯĐ"])
    assert "NguyÔn V¨n An".encode("latin-1").decode("tcvn3") == "Nguyễn Văn An"


def test_capitals_of_abc_fonts_cannot_be_told() -> None:
    """A font of capitals shows the small letter as a capital; its name is not in the bytes, so they stay as they are."""
    assert "NGUYÔN V¡N AN".encode("latin-1").decode("tcvn3") == "NGUYễN VĂN AN"


@pytest.mark.parametrize("unused", [0x81, 0x8A, 0x90, 0x9F])
def test_codes_that_abc_fonts_do_not_use_are_no_text(unused: int) -> None:
    """Signs of Windows fonts are taken there, letters are not."""
    with pytest.raises(UnicodeDecodeError):
        bytes([unused]).decode("tcvn3")

    assert b"\x93a\x94 \x96 \x85".decode("tcvn3") == "“a” – …"


def test_cp1258_with_tone_marks_becomes_the_same_letters() -> None:
    """Windows writes the tone after the letter; normal form C joins them (Python's own codec)."""
    text = "".join(LETTERS)

    assert unicodedata.normalize("NFC", in_cp1258(text).decode("cp1258")) == text


@pytest.mark.parametrize("name", [*vietnamese.NAMES, "VNI-Windows", "TCVN3", "tcvn_5712"])
def test_codecs_are_known_by_name(name: str) -> None:
    """A link's `fallback_charset` is a name that Python knows."""
    assert codecs.lookup(name).name in set(vietnamese.NAMES.values())


@pytest.mark.parametrize("name", ["tcvn3", "tcvn5712", "viscii", "vni"])
@pytest.mark.parametrize(
    "text", ["Đặng Thị Dương", "Nguyễn Văn Ước", "khoẻ, thở đều; tiền sử: lao phổi", "Lê Ngọc Ánh"]
)
def test_text_of_a_set_is_never_taken_for_utf_8(name: str, text: str) -> None:
    """In VISCII `Đặ` and `ươ` are valid UTF-8 by chance."""
    sent = (text.lower() if name == "tcvn3" else text).encode(name)

    assert charsets.undecodable_at(sent, name) is None


@pytest.mark.parametrize("name", ["tcvn3", "tcvn5712", "viscii", "vni", "cp1258"])
def test_utf_8_is_never_taken_for_one_of_them(name: str) -> None:
    """A sender that was renewed sends UTF-8 from one day to the next: refused, not read as other letters."""
    assert charsets.undecodable_at("Nguyễn Thị Đặng".encode(), name) is not None


@pytest.mark.parametrize("content", ["ô", "aù", "a", "ôù"])
def test_reading_vni_costs_no_more_than_its_bytes(content: str) -> None:
    """A sender that repeats one letter a million times holds up no other link."""
    sent = content.encode("latin-1") * 600_000

    started = time.process_time()
    sent.decode("vni")

    assert time.process_time() - started < 10
