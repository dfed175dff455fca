"""How much the parts of a workbook hold (ECMA-376), counted before a library builds them in memory. Pure.

A row is kept whole while it is read, and one cell takes hundreds of bytes: so a small file might fill the memory.
"""

from collections.abc import Callable, Iterable
from typing import Any
from xml.parsers import expat

MOST_ELEMENTS = 1_200_000
"""20,000 rows of all columns have some 900,000."""
MOST_IN_A_ROW = 20_000
"""Excel has 16,384 columns, and may name each one where a whole row was coloured."""


class Overfull(Exception):
    """There is more in it than any mapping has."""


class Declares(Exception):
    """A part declares a document type, which may hold entities that grow; a workbook never has one."""


class Counter:
    """Counts the elements of parts that come one after the other."""

    def __init__(self) -> None:
        self._elements = 0
        self._depth = 0
        self._row_depth = 0
        self._in_row = 0

    def count(self, part: Iterable[bytes]) -> None:
        """Count one part, up to where it is no XML any more: no reader gets further; or raise what is too much."""
        self._depth = self._row_depth = 0
        parser = expat.ParserCreate()
        handlers: dict[str, Callable[..., Any]] = {
            "StartElementHandler": self._begins,
            "EndElementHandler": self._ends,
            "StartDoctypeDeclHandler": _declared,
        }
        for name, handler in handlers.items():
            setattr(parser, name, handler)
        try:
            for chunk in part:
                parser.Parse(chunk)
        except expat.ExpatError:
            return

    def _begins(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1 + len(attributes) // 8
        if not self._row_depth and name.rpartition(":")[2] == "row":
            self._row_depth, self._in_row = self._depth, 0
        self._in_row += 1
        if self._elements > MOST_ELEMENTS or (self._row_depth and self._in_row > MOST_IN_A_ROW):
            raise Overfull

    def _ends(self, _: str) -> None:
        if self._depth == self._row_depth:
            self._row_depth = 0
        self._depth -= 1


def _declared(*_: object) -> None:
    raise Declares
