"""Rows of an XML file: one element each, read as a stream; a file with a document type, and so with entities, is none.

Elements are known by their local names: who writes a name space prefix means the same element.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers.expat import ExpatError, ParserCreate

from overread.protocols.tables.rows import LONGEST_VALUE, Fault, FileRefused, Row
from overread.protocols.tables.text_lines import text_lines

DEEPEST = 32
MOST_ELEMENTS_IN_A_ROW = 5_000
_NAME = r"[^\W\d][\w.-]*"
_STEP = rf"{_NAME}(?:\[(?:@{_NAME}|{_NAME})='[^'\]]*'\])?"
_PLACE = re.compile(rf"(?:{_STEP}(?:/{_STEP})*|\.)(?:/@{_NAME})?|@{_NAME}")
_ROW_PATH = re.compile(rf"/?{_NAME}(?:/{_NAME})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlForm:
    """Where rows and their columns are: `row` is a path from the root, as `Orders/Order`, a place one from the row.

    A place is `Patient/Name`, `@id`, `Patient/@id` or `Identifier[@type='MR']`. `charset` is empty for what the file
    itself declares (XML 1.0, 4.3.3).
    """

    charset: str
    row: str
    places: Mapping[str, str]


def checked_place(place: str) -> str:
    """Return `place`, or raise ValueError with what it may be."""
    if not _PLACE.fullmatch(place):
        raise ValueError("a place is a path from the row, as Patient/Name, Patient/@id or Identifier[@type='MR']")
    return place


def checked_row_path(path: str) -> str:
    """Return `path`, or raise ValueError with what it may be."""
    if not _ROW_PATH.fullmatch(path):
        raise ValueError("a row is a path of names from the root, as Orders/Order")
    return path


def xml_rows(lines: Iterable[bytes], form: XmlForm) -> Iterator[Row]:
    """Yield every row's values by column; `FileRefused` for what is not well-formed, or declares a document type.

    A column whose element is not there has no value; one whose path meets several elements makes the row bad.
    """
    parsing = _Parsing(form)
    for block in _utf_8(lines, form.charset) if form.charset else lines:
        parsing.feed(block)
        yield from parsing.finished()
    parsing.end()
    yield from parsing.finished()


def _utf_8(lines: Iterable[bytes], charset: str) -> Iterator[bytes]:
    for number, line in enumerate(text_lines(lines, charset), start=1):
        if not line.is_text:
            raise FileRefused("not_in_charset", number, charset=charset)
        yield line.text.encode()


class _Parsing:
    """One file on its way through expat; the tree of a row is there only until the row is read."""

    def __init__(self, form: XmlForm) -> None:
        self._form = form
        self._wanted = form.row.strip("/").split("/")
        self._path: list[str] = []
        self._builder: TreeBuilder | None = None
        self._line = 0
        self._elements = 0
        self._rows: list[Row] = []
        self._read = 0
        parser = ParserCreate("utf-8" if form.charset else None)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = True
        self._parser = parser

    def feed(self, block: bytes) -> None:
        """Read on."""
        self._parse(block, is_last=False)

    def end(self) -> None:
        """Know that the file is whole: it ends where its root element does."""
        self._parse(b"", is_last=True)

    def finished(self) -> Iterator[Row]:
        """Yield the rows that have ended since the last time."""
        rows, self._rows = self._rows, []
        return iter(rows)

    def _parse(self, block: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(block, is_last)
        except (ExpatError, LookupError, ValueError) as error:
            line = getattr(error, "lineno", self._parser.CurrentLineNumber)
            raise FileRefused("not_well_formed", int(line)) from None

    def _doctype(self, *_declared: object) -> None:
        raise FileRefused("document_type", self._parser.CurrentLineNumber)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._path.append(_local(name))
        if len(self._path) > DEEPEST:
            raise FileRefused("too_deep", self._parser.CurrentLineNumber)
        if self._builder is None and self._path == self._wanted:
            self._builder, self._line, self._elements = TreeBuilder(), self._parser.CurrentLineNumber, 0
        if self._builder is not None:
            self._elements += 1
            if self._elements > MOST_ELEMENTS_IN_A_ROW:
                raise FileRefused("too_deep", self._line)
            self._builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def _data(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)

    def _end(self, name: str) -> None:
        if self._builder is not None:
            self._builder.end(_local(name))
            if self._path == self._wanted:
                self._read += 1
                self._rows.append(_row(self._builder.close(), self._read, self._line, self._form))
                self._builder = None
        self._path.pop()


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _row(element: Element, number: int, line: int, form: XmlForm) -> Row:
    raw = tostring(element, encoding="utf-8")
    values: dict[str, str] = {}
    for column, place in form.places.items():
        found = _values(element, place)
        if len(found) > 1:
            return Row(number, line, raw, {}, Fault("place_twice", column))
        value = found[0].strip() if found else ""
        if len(value) > LONGEST_VALUE:
            return Row(number, line, raw, {}, Fault("value_long", column))
        values[column] = value
    return Row(number, line, raw, values)


def _values(element: Element, place: str) -> list[str]:
    path, _, attribute = place.rpartition("@") if _is_attribute(place) else (place, "", "")
    path = path.rstrip("/")
    found = element.findall(path) if path and path != "." else [element]
    if attribute:
        return [value for one in found if (value := one.get(attribute)) is not None]
    return ["".join(one.itertext()) for one in found]


def _is_attribute(place: str) -> bool:
    return place.rpartition("/")[2].startswith("@")
