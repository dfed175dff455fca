"""What a file of rows says, whatever its form: rows by column, each sound or with its fault; or a file that is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from overread.contracts.errors import Malformed

LONGEST_VALUE = 8_000
"""Characters of one value; a clinical question is far below."""

MOST_COLUMNS = 500


class FileRefused(Malformed):
    """The file can't be read as the link says that it is written; `line` is where, 0 where that is not known.

    `sentence` and `values` are a key of the words and what stands in their places; neither holds a value of a row.
    """

    def __init__(self, sentence: str, line: int = 0, **values: object) -> None:
        super().__init__(f"{sentence} {values}" if values else sentence)
        self.sentence = sentence
        self.line = line
        self.values = values


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row can't be used: a key of the words, the column where it is about one, and what fills the sentence."""

    sentence: str
    column: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: which it is, the line that it begins on, its bytes, its values by column; with a `fault` it has none."""

    number: int
    line: int
    raw: bytes
    values: Mapping[str, str]
    fault: Fault | None = None
