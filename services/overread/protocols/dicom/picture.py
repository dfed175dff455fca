"""Draws the key slice with what was found on it, and a band that says what the picture is. Pixels only."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from overread.protocols.dicom.key_image import KeyImage

Picture = NDArray[np.uint8]

NARROWEST: Final = 512
WIDEST: Final = 1024
JPEG_QUALITY: Final = 90
FARTHEST: Final = 12.0
"""How far, on average, the grey of a JPEG may be from what was drawn (of 255)."""
_FONT_SIZE = 15
_LINE_HEIGHT = 21
_MARGIN = 8
_OPACITY = 0.22
_AMBER, _WHITE = (255, 191, 0), (255, 255, 255)
_COLOURS: Mapping[int, tuple[int, int, int]] = {
    0: (0, 190, 255),
    1: (255, 120, 0),
    2: (120, 255, 80),
    3: (255, 80, 200),
}


def draw(image: KeyImage, labels: NDArray[np.uint8] | None, heading: Sequence[str], lines: Sequence[str]) -> Picture:
    """Return the slice with its labels tinted, `heading` above it and `lines` below: (rows, columns, 3), RGB."""
    slice_ = _slice(image, labels)
    above = _band(heading, slice_.shape[1], _AMBER)
    below = _band(lines, slice_.shape[1], _WHITE)
    return np.concatenate([above, slice_, below])


def as_jpeg(picture: Picture) -> bytes:
    """Return the picture as JPEG without subsampled colour, so that thin letters stay readable."""
    written = BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return written.getvalue()


def shows(jpeg: bytes, picture: Picture) -> bool:
    """Say whether the JPEG, once decoded, is that picture as far as JPEG keeps one."""
    try:
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as opened:
            decoded = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError):
        return False
    if decoded.shape != picture.shape:
        return False
    return float(np.abs(decoded.astype(np.int16) - picture).mean()) <= FARTHEST


def _slice(image: KeyImage, labels: NDArray[np.uint8] | None) -> Picture:
    rows, columns = image.grey.shape
    width = min(max(columns, NARROWEST), WIDEST)
    height = max(1, round(rows * image.aspect * width / columns))
    grey = Image.fromarray(image.grey).resize((width, height), Image.Resampling.BILINEAR)
    picture = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    if labels is None:
        return picture
    drawn = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    return _tinted(picture, drawn)


def _tinted(picture: Picture, labels: NDArray[np.uint8]) -> Picture:
    """Tint each label in its colour, its edge in full."""
    tinted = picture.copy()
    for label in np.unique(labels[labels > 0]):
        mask = labels == label
        colour = np.array(_COLOURS[(int(label) - 1) % len(_COLOURS)], dtype=np.float64)
        tinted[mask] = np.rint((1 - _OPACITY) * tinted[mask] + _OPACITY * colour)
        tinted[_edge(mask)] = colour
    return tinted


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inside


def _band(lines: Sequence[str], width: int, colour: tuple[int, int, int]) -> Picture:
    parts = [part for line in lines for part in wrapped(line, width - 2 * _MARGIN)]
    height = len(parts) * _LINE_HEIGHT + 2 * _MARGIN
    band = Image.new("RGB", (width, height))
    canvas = ImageDraw.Draw(band)
    for number, line in enumerate(parts):
        canvas.text((_MARGIN, _MARGIN + number * _LINE_HEIGHT), line, font=typeface(), fill=colour)
    return np.asarray(band)


def wrapped(line: str, width: int, size: int = _FONT_SIZE) -> Iterator[str]:
    """Break a line between words where it would leave the picture, inside a word that is wider than it."""
    said, font = "", typeface(size)
    for word in (part for whole in line.split(" ") for part in _pieces(whole, width, font)):
        longer = f"{said} {word}" if said else word
        if font.getlength(longer) > width:
            yield said
            longer = word
        said = longer
    yield said


def _pieces(word: str, width: int, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    while font.getlength(word) > width:
        fitting = next(count for count in range(len(word), 0, -1) if font.getlength(word[:count]) <= width)
        yield word[:fitting]
        word = word[fitting:]
    yield word


@cache
def typeface(size: int = _FONT_SIZE) -> ImageFont.FreeTypeFont:
    """Return the one typeface of every picture: part of DejaVu Sans, Vietnamese included."""
    stored = files("overread.protocols.dicom").joinpath("fonts", "DejaVuSans-subset.ttf").read_bytes()
    # The basic layout is in every Pillow; the other one is not, and would place glyphs differently.
    return ImageFont.truetype(BytesIO(stored), size, layout_engine=ImageFont.Layout.BASIC)
