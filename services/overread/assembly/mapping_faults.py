"""What is wrong with a mapping's file: each fault with its row and column, in plain words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overread.assembly.mapping_rows import COLUMNS
from overread.contracts.errors import OverreadError

MOST_TOLD = 200

WORDS: Mapping[str, str] = {
    "too_large": "the file is larger than {said}",
    "too_many_rows": "the file has more than {said} rows",
    "not_utf8": "the file is not UTF-8; in Excel save it as 'CSV UTF-8', or as a workbook (.xlsx)",
    "not_csv": "this is no CSV: {said}",
    "not_a_workbook": "this is no workbook (.xlsx) that can be read",
    "no_rows": "the file is empty",
    "lacks_column": "the first row lacks the column '{said}'",
    "unknown_column": f"there is no column '{{said}}'; there are {', '.join(COLUMNS)}",
    "column_twice": "the column '{said}' is there twice",
    "too_many_cells": "the row has more cells than there are columns",
    "formula": "a formula is never read; put its value into the cell",
    "not_text": "the cell holds a date, a yes/no or a fraction where text is meant: Excel changed it; format the column "
    "as text and type it again",
    "shortened_number": "'{said}' is a number that Excel shortened; format the column as text and type the code again",
    "lost_letters": "'{said}' seems to have lost letters when it was saved; in Excel save it as 'CSV UTF-8', or as a "
    "workbook (.xlsx)",
    "control_character": "the cell holds a line break or another control character",
    "too_long": "the text is longer than {said} characters",
    "empty": "the cell is empty, and a row of this kind needs it",
    "unknown_kind": "'{said}' is none of service, ward, doctor, code_system",
    "not_a_link": "'{said}' can't be a link's name: lower-case letters, digits and hyphens, at most 32; empty for all links",
    "not_a_system": "'{said}' can't be a code system's name: letters, digits, '.', '_', '-', at most 40",
    "not_a_modality": "'{said}' is no modality: two to sixteen capitals, as CT, MR, DX",
    "not_a_model": "'{said}' can't be a model's name: lower-case letters, digits and hyphens",
    "unknown_model": "no model is called '{said}'",
    "not_an_oid": "'{said}' is no OID: digits and dots",
    "needless": "the column has no meaning in a row of this kind; leave it empty",
    "twice": "the same code is in row {said} already",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault: `row` as a person counts them (the header is 1; 0 is the file), `column` by its name."""

    row: int
    column: str = ""
    fault: str
    said: str = ""

    @property
    def place(self) -> str:
        """Return where it is."""
        if not self.row:
            return "the file"
        return f"row {self.row}, {self.column}" if self.column else f"row {self.row}"

    @property
    def words(self) -> str:
        """Return the fault as one sentence."""
        return f"{self.place}: {WORDS[self.fault].format(said=self.said)}"


class Faulty(OverreadError):
    """The mapping's file was not taken, none of it; every fault is named."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.row))
        super().__init__("; ".join(fault.words for fault in self.faults[:MOST_TOLD]))
