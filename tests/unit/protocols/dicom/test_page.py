"""Lines of text as pages: all of them, on as many sheets as they need, the same bytes each time."""

import re
from datetime import UTC, datetime

from overread.protocols.dicom import page
from overread.protocols.dicom.page import Line

SIGNED_AT = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
LONG = [Line(f"Dòng {number}: " + "phổi hai bên sáng đều, " * 12) for number in range(40)]


def a_pdf(lines: list[Line], footer: str = "Người ký: BÁC SĨ THỬ") -> bytes:
    """Return the lines as a PDF."""
    return page.pdf(lines, title="Kết quả", footer=footer, made_at=SIGNED_AT)


def sheets_in(pdf: bytes) -> int:
    """Count the pages that the file has."""
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_long_report_goes_on_on_the_next_sheet_and_no_line_is_lost() -> None:
    """REQ-OUT-30: what was signed is all there, broken between words where it is too long."""
    sheets = list(page._sheets(LONG))

    words = " ".join(line.text for sheet in sheets for line in sheet).split()
    assert words == " ".join(line.text for line in LONG).split()
    assert len(sheets) > 1
    assert sheets_in(a_pdf(LONG)) == len(sheets)
    assert all(sum(page._height(line) for line in sheet) <= page.HEIGHT - 3 * page.MARGIN for sheet in sheets)


def test_every_sheet_says_at_its_foot_who_stands_behind_it() -> None:
    """REQ-OUT-30: one sheet alone can't be taken for a signed one."""
    first, *_ = page._sheets(LONG)

    signed, unsigned = (page._draw(first, footer) for footer in ("Người ký: BÁC SĨ THỬ", "CHƯA ĐƯỢC BÁC SĨ XÁC NHẬN"))

    edge = page.HEIGHT - page.MARGIN - page.SMALL  # accents reach above their line
    foot, above = (0, edge, page.WIDTH, page.HEIGHT), (0, 0, page.WIDTH, edge)
    assert signed.crop(foot).tobytes() != unsigned.crop(foot).tobytes()
    assert signed.crop(above).tobytes() == unsigned.crop(above).tobytes()


def test_equal_lines_give_equal_bytes_and_another_line_others() -> None:
    """REQ-ONE-05: the file's own date is the signature's."""
    lines = [Line("Kết quả", page.LARGE), Line("")]

    assert a_pdf(lines) == a_pdf(lines)
    assert a_pdf(lines) != a_pdf([*lines, Line("Thêm")])
    assert b"D:20261122120500" in a_pdf(lines)
