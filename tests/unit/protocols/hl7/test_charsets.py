"""MSH-18 and the bytes after it: every set of table HL70211 is read, or refused with the place and a reason."""

import pytest

from overread.protocols.hl7.charsets import CHARSETS, codec_named
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import Leniency, Message, read_header, tokenise
from tests.builders.vietnamese import in_cp1258

HEAD = "MSH|^~\\&|HIS|BVX|||20261122||ORM^O01|7|P|2.5.1||||||"


def _raw(msh_18: str, value: bytes, head: str = HEAD) -> bytes:
    return head.encode() + msh_18.encode() + b"\rPID|1||BN1||" + value + b"^A||19990512\r"


def _pid_5(message: Message) -> tuple[str, str, str]:
    """The name, and the field after the next, which a wrong cut would move."""
    pid = message.segment("PID")
    assert pid is not None
    return pid.text(5), pid.text(5, 2), pid.text(7)


def _error(raw: bytes, fallback: str | None = None) -> HL7Error:
    with pytest.raises(HL7Error) as caught:
        tokenise(raw, fallback)
    return caught.value


@pytest.mark.parametrize(
    ("msh_18", "codec", "text"),
    [
        ("ASCII", "ascii", "NGUYEN"),
        ("ISO IR6", "ascii", "NGUYEN"),
        ("UNICODE UTF-8", "utf-8", "NGUYỄN 山田"),
        ("UNICODE", "utf-8", "Nguyễn"),
        ("ISO_IR 192", "utf-8", "Nguyễn"),
        ("8859/1", "latin-1", "Hélène"),
        ("8859/2", "iso8859-2", "Łukasz"),
        ("8859/3", "iso8859-3", "Ġużè"),
        ("8859/4", "iso8859-4", "Ģirts"),
        ("8859/5", "iso8859-5", "Иванов"),
        ("8859/6", "iso8859-6", "محمد"),
        ("8859/7", "iso8859-7", "Νίκος"),
        ("8859/8", "iso8859-8", "דוד"),
        ("8859/9", "iso8859-9", "Yağmur"),
        ("8859/11", "iso8859-11", "สมชาย"),
        ("8859/15", "iso8859-15", "Lœuf €"),
        ("GB 18030-2000", "gb18030", "王小明 㐂"),
        ("KS X 1001", "euc_kr", "홍길동"),
        ("BIG-5", "big5", "許功蓋"),
        ("CP1258", "cp1258", "Hélène"),
        ("TCVN3", "tcvn3", "Nguyễn Văn Thử"),
        ("VNI-Windows", "vni", "NGUYỄN VĂN THỬ"),
        ("VISCII", "viscii", "Đặng Thị Dương"),
    ],
)
def test_each_set_is_read(msh_18: str, codec: str, text: str) -> None:
    """Table HL70211, and names that leave no doubt."""
    message = tokenise(_raw(msh_18, text.encode(codec)))

    assert _pid_5(message) == (text, "A", "19990512")


@pytest.mark.parametrize("msh_18", ["BIG-5", "GB 18030-2000", "gb18030~ASCII"])
def test_header_in_a_set_with_bytes_of_delimiters_is_cut_right(msh_18: str) -> None:
    r"""In BIG-5 the second byte of 功 is a backslash, in GB 18030 that of other letters is |: MSH-10 stays MSH-10."""
    codec = CHARSETS[msh_18.partition("~")[0].upper()]
    letters = [chr(c) for c in range(0x4E00, 0x9FFF)]
    ends = ([letter for letter in letters if letter.encode(codec, "ignore")[1:] == end][:3] for end in (b"|", b"\\"))
    facility = "".join(letter for found in ends for letter in found)
    raw = _raw(msh_18, "王".encode(codec)).replace(b"BVX", facility.encode(codec), 1)

    header = tokenise(raw).header

    assert len(facility) == 6
    assert header == read_header(raw)
    assert (header.field(4).decode(codec), header.message_control_id) == (facility, "7")


@pytest.mark.parametrize(
    ("msh_18", "sent", "meant"),
    [
        ("~ISO IR87", "山田|太郎".encode("iso2022_jp").replace(b"|", b""), "山田太郎"),
        ("ASCII~ISO IR87", b"\\M2442\\;3ED\\C2842\\ x", "山田 x"),
        ("ISO IR87", "テスト".encode("iso2022_jp"), "テスト"),
        ("ASCII~ISO IR159", "丂".encode("iso2022_jp_ext"), "丂"),
        ("ISO IR14~ISO IR87", b"\x1b(JYAMADA \x1b$B;3ED\x1b(J", "YAMADA 山田"),
        ("ASCII~8859/1", b"\\C2D41\\H\xe9l\xe8ne", "Hélène"),
        ("ASCII~8859/7", b"\\C2D46\\\xcd\xdf\xea\xef\xf2\\C2842\\ N", "Νίκος N"),
        ("UNICODE UTF-8~8859/5", "Ễ \\C2D4C\\".encode() + "Иванов".encode("iso8859-5"), "Ễ Иванов"),
        ("ASCII~JIS X 0201", b"\\C2949\\\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ("ASCII~KS X 1001", b"\x1b$)C" + "홍길동".encode("euc_kr"), "홍길동"),
        ("ASCII~ISO IR87", b"\\C1234\\ \\M99\\ \\Zx\\", "\\C1234\\ \\M99\\ \\Zx\\"),
    ],
)
def test_alternate_sets_are_switched_to(msh_18: str, sent: bytes, meant: str) -> None:
    r"""MSH-18 repeats, and ESC or ``\C..\`` and ``\M..\`` switch (2.7.2); what was switched ends with the segment."""
    message = tokenise(_raw(msh_18, sent) + b"NTE|1||plain\r")

    assert _pid_5(message) == (meant, "A", "19990512")
    assert [nte.text(3) for nte in message.segments("NTE")] == ["plain"]


@pytest.mark.parametrize("switch", [b"\\C2D41\\", b"\x1b-A"])
def test_what_was_switched_ends_with_the_segment(switch: bytes) -> None:
    """The next segment begins in the first set again, so its bytes are not read in the other."""
    raw = _raw("ASCII~8859/1", switch + b"H\xe9l\xe8ne")

    error = _error(raw + b"NTE|1||H\xe9l\xe8ne\r")

    assert _pid_5(tokenise(raw))[0] == "Hélène"
    assert (error.condition, str(error.location)) == (102, "NTE^1^3")


def test_kanji_that_look_like_delimiters_are_not_cut() -> None:
    """Of JIS X 0208, bytes from 0x21 to 0x7E are a letter's half, | and ^ and CR's neighbours among them."""
    kanji = "".join(
        letter
        for code in range(0x4E00, 0x9FFF)
        for letter in (chr(code),)
        if set(letter.encode("iso2022_jp", "ignore")[3:5]) & set(b"|^~\\&")
    )

    message = tokenise(_raw("~ISO IR87", kanji.encode("iso2022_jp")))

    assert len(kanji) > 300
    assert _pid_5(message) == (kanji, "A", "19990512")


@pytest.mark.parametrize(
    ("raw", "condition", "location"),
    [
        (_raw("KLINGON", b"x"), 103, "MSH^1^18"),
        (_raw("CNS 11643-1992", b"x"), 103, "MSH^1^18"),
        (_raw("UNICODE UTF-16", b"x"), 103, "MSH^1^18"),
        (_raw("UNICODE UTF-32", b"x"), 103, "MSH^1^18"),
        (_raw("UNICODE UTF-16", "Nguyễn".encode()).decode().encode("utf-16"), 103, "MSH^1^18"),
        (_raw("UNICODE UTF-16", b"x").decode().encode("utf-16-be"), 103, "MSH^1^18"),
        (_raw("", "Nguyễn".encode()), 102, "PID^1^5"),
        (_raw("UNICODE UTF-8", "Nguyễn".encode("tcvn3")), 102, "PID^1^5"),
        (_raw("8859/1", "Nguyễn".encode()), 102, "PID^1^5"),
        (_raw("BIG-5", "許功蓋".encode("big5") + b"\xff"), 102, "PID^1^5"),
        (_raw("~ISO IR87", b"\x1b$B\x29\x7a\x1b(B"), 102, "PID^1^5"),
        (_raw("~ISO IR87", b"\x1b$QAB"), 102, "PID^1^5"),
        (_raw("~ISO IR87", b"A\xffB\x00C"), 102, "PID^1^5"),
        (_raw("BIG-5", b"A\xffB\x00C"), 102, "PID^1^5"),
        (_raw("~ISO IR87", b"\x1b)I\x81\x40"), 102, "PID^1^5"),
        (_raw("ASCII", "山田".encode("iso2022_jp")), 102, "PID^1^5"),
        (_raw("UNICODE UTF-8", "山田".encode("iso2022_jp")), 102, "PID^1^5"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(raw: bytes, condition: int, location: str) -> None:
    """Never mojibake: a set that is not taken is 103, bytes that are not in the set are 102."""
    error = _error(raw)

    assert (error.condition, str(error.location)) == (condition, location)


def test_answer_to_utf_16_still_names_the_message() -> None:
    """MSH-10 is there to be read, whatever the letters are written in."""
    raw = _raw("UNICODE UTF-16", "Nguyễn".encode()).decode().encode("utf-16")

    header = read_header(raw)

    assert (header.message_control_id, header.component(9, 1), header.component(18, 1)) == (
        "7",
        "ORM",
        "UNICODE UTF-16",
    )


@pytest.mark.parametrize(
    ("fallback", "sent", "meant"),
    [
        ("tcvn3", "NguyÔn V¨n Thö".encode("latin-1"), "Nguyễn Văn Thử"),
        ("vni-windows", "NGUYEÃN VAÊN THÖÛ".encode("latin-1"), "NGUYỄN VĂN THỬ"),
        ("viscii", b"\xd0\xa3ng Th\xb8 D\xdf\xbdng", "Đặng Thị Dương"),
        ("cp1258", in_cp1258("Nguyễn Văn Thử"), "Nguyễn Văn Thử"),
    ],
)
@pytest.mark.parametrize("msh_18", ["", "ASCII", "UNKNOWN", "UNICODE UTF-8", "ISO IR87"])
def test_links_setting_reads_old_vietnamese(fallback: str, sent: bytes, meant: str, msh_18: str) -> None:
    """MSH-18 empty, ASCII, no set at all, or one that the bytes are not: what the link's owner declared is read, in NFC."""
    message = tokenise(_raw(msh_18, sent), fallback)

    assert _pid_5(message) == (meant, "A", "19990512")
    assert message.leniencies == (Leniency.CHARACTER_SET,)


@pytest.mark.parametrize("fallback", ["tcvn3", "vni", "viscii", "cp1258"])
def test_what_msh_18_names_rightly_is_read_as_it_says(fallback: str) -> None:
    """A system that was renewed sends UTF-8 and says so: the link's setting is not in its way."""
    message = tokenise(_raw("UNICODE UTF-8", "Nguyễn Thị Đặng".encode()), fallback)

    assert _pid_5(message)[0] == "Nguyễn Thị Đặng"
    assert message.leniencies == ()


@pytest.mark.parametrize("fallback", ["tcvn3", "vni", "viscii", "cp1258"])
def test_one_damaged_letter_does_not_turn_all_others_into_other_letters(fallback: str) -> None:
    """Damaged UTF-8 is no text in any set, though most single bytes are letters."""
    error = _error(_raw("UNICODE UTF-8", "Nguyễn Thị ".encode() + b"\xd1n"), fallback)

    assert (error.condition, str(error.location)) == (102, "PID^1^5")


@pytest.mark.parametrize("fallback", ["tcvn3", "vni", "viscii", "cp1258"])
def test_wrong_setting_is_no_text_in_the_end(fallback: str) -> None:
    """UTF-8 on a link that is declared otherwise is refused, and never read as other letters."""
    error = _error(_raw("", "Nguyễn Thị Đặng".encode()), fallback)

    assert (error.condition, str(error.location)) == (102, "PID^1^5")
    assert "Nguy" not in error.sentence


def test_every_name_of_the_table_has_its_codec() -> None:
    """A name that stands in the table and is not taken is refused with its reason; no other is."""
    table = ["ASCII", *(f"8859/{part}" for part in (*range(1, 10), 15)), "ISO IR6", "ISO IR14", "ISO IR87", "ISO IR159"]
    table += ["GB 18030-2000", "KS X 1001", "BIG-5", "UNICODE", "UNICODE UTF-8", "JAS2020", "JIS X 0202"]

    assert all("".encode(codec_named(name)) == b"" for name in table)
