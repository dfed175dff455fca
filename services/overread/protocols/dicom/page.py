"""Lines of text as pages of a PDF (A4, black on white, 150 dots an inch): pictures of text, which print anywhere alike."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import Final, NamedTuple

from PIL import Image, ImageDraw

from overread.protocols.dicom.picture import typeface, wrapped

DOTS_AN_INCH: Final = 150.0
WIDTH, HEIGHT, MARGIN = 1240, 1754, 110
LARGE, USUAL, SMALL = 34, 24, 18
_SPACING: Final = 1.45


class Line(NamedTuple):
    """One line of text, broken where it is too long; `size` is in dots."""

    text: str
    size: int = USUAL


def pdf(lines: Sequence[Line], *, title: str, footer: str, made_at: datetime) -> bytes:
    """Return the pages; equal lines give equal bytes. `footer` stands below each, with its number."""
    sheets = list(_sheets(lines))
    drawn = [_draw(sheet, f"{footer}  {number}/{len(sheets)}") for number, sheet in enumerate(sheets, 1)]
    written = BytesIO()
    moment = made_at.utctimetuple()
    drawn[0].save(
        written,
        "PDF",
        save_all=True,
        append_images=drawn[1:],
        resolution=DOTS_AN_INCH,
        title=title,
        producer="Overread",
        creationDate=moment,
        modDate=moment,
    )
    return written.getvalue()


def _sheets(lines: Sequence[Line]) -> Iterator[list[Line]]:
    sheet: list[Line] = []
    room = HEIGHT - 3 * MARGIN
    for line in _broken(lines):
        taken = _height(line)
        if sheet and taken > room:
            yield sheet
            sheet, room = [], HEIGHT - 3 * MARGIN
        sheet.append(line)
        room -= taken
    yield sheet


def _broken(lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        yield from (Line(part, line.size) for part in wrapped(line.text, WIDTH - 2 * MARGIN, line.size))


def _height(line: Line) -> int:
    return round(line.size * _SPACING)


def _draw(sheet: Sequence[Line], footer: str) -> Image.Image:
    page = Image.new("1", (WIDTH, HEIGHT), 1)
    canvas, below = ImageDraw.Draw(page), MARGIN
    for line in sheet:
        canvas.text((MARGIN, below), line.text, font=typeface(line.size), fill=0)
        below += _height(line)
    canvas.text((MARGIN, HEIGHT - MARGIN), footer, font=typeface(SMALL), fill=0)
    return page
