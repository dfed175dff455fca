"""From a table of text to a mapping's rows: all of them, or every fault with its row and column. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from overread.assembly.mapping_faults import Fault, Faulty
from overread.assembly.mapping_rows import COLUMNS, USED, Key, Kind, MappingRow

LONGEST: Mapping[str, int] = {"vi": 200, "en": 200, "fr": 200, "department": 200, "models": 400}
LONGEST_CODE = 80
NEEDED: Mapping[Kind, tuple[str, ...]] = {
    Kind.SERVICE: (),
    Kind.WARD: (),
    Kind.DOCTOR: (),
    Kind.CODE_SYSTEM: ("to_system",),
}
SAYS_SOMETHING: Mapping[Kind, tuple[str, ...]] = {
    Kind.SERVICE: ("vi", "to_code", "en", "fr", "models", "modality"),
    Kind.WARD: ("vi", "en", "fr", "department"),
    Kind.DOCTOR: ("vi", "to_code"),
    Kind.CODE_SYSTEM: (),
}
"""Of these a row must have one; the first is named where it has none."""

_SHAPES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "link": (re.compile(r"[a-z0-9][a-z0-9-]{0,31}"), "not_a_link"),
    "to_system": (re.compile(r"[0-9A-Za-z._-]{1,40}"), "not_a_system"),
    "modality": (re.compile(r"[A-Z]{2,16}"), "not_a_modality"),
}
_MODEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_SHORTENED = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)
_CODES = ("code", "to_code")
_NAMES = ("vi", "en", "fr", "department")
_LOST = re.compile(r"[^\W\d]\?+[^\W\d]")
"""What is left of `ngực` when Excel saves it in a Western code page: `ng?c`."""
_RUNS = re.compile(r"'*[=+\-@]")

Cells = Mapping[str, str]


def rows_of(table: Sequence[Sequence[str]], models: frozenset[str] | None) -> list[MappingRow]:
    """Return the rows below the header, or raise `Faulty`; blank rows are passed over."""
    top = next((at for at, row in enumerate(table) if any(cell.strip() for cell in row)), None)
    if top is None:
        raise Faulty([Fault(row=0, fault="no_rows")])
    header = [cell.strip().casefold() for cell in table[top]]
    if faults := list(_header_faults(header, top + 1)):
        raise Faulty(faults)
    rows, known, found = [], dict[Key, int](), list[Fault]()
    for number, cells in enumerate(table[top + 1 :], start=top + 2):
        if any(cell.strip() for cell in cells):
            row = _row_of(number, header, cells, models, found)
            if row is not None:
                found += _repeated(row.key, number, known)
                rows.append(row)
    if found:
        raise Faulty(found)
    return rows


def checked(row: MappingRow, models: frozenset[str] | None) -> MappingRow:
    """Return a row that did not come in a file as a file's would be read, or raise `Faulty`."""
    (read,) = rows_of([COLUMNS, [harmless(cell) for cell in row.cells()]], models)
    return read


def harmless(cell: str) -> str:
    """Return the text so that no spreadsheet runs it: with an apostrophe before =, +, - or @ at its begin."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def _bare(cell: str) -> str:
    """Return the text that `harmless` was given."""
    return cell[1:] if cell.startswith("'") and _RUNS.match(cell) else cell


def _header_faults(header: Sequence[str], number: int) -> Iterator[Fault]:
    for at, name in enumerate(header):
        if name and name not in COLUMNS:
            yield Fault(row=number, fault="unknown_column", said=name[:40])
        elif name and name in header[:at]:
            yield Fault(row=number, fault="column_twice", said=name)
    for name in ("kind", "code"):
        if name not in header:
            yield Fault(row=number, fault="lacks_column", said=name)


def _row_of(
    number: int, header: Sequence[str], row: Sequence[str], models: frozenset[str] | None, found: list[Fault]
) -> MappingRow | None:
    said = {name: _plain(cell) for name, cell in zip(header, row, strict=False) if name}
    cells = {name: _bare(cell) for name, cell in said.items()}
    beyond = [cell for name, cell in zip(header, row, strict=False) if not name] + list(row[len(header) :])
    faults = list(_cell_faults(number, said))
    told = {fault.column for fault in faults}
    faults += [fault for fault in _row_faults(number, cells, models) if fault.column not in told]
    if any(cell.strip() for cell in beyond):
        faults.append(Fault(row=number, fault="too_many_cells"))
    found += faults
    return None if faults else MappingRow.model_validate({**cells, "models": tuple(_models(cells))})


def _plain(cell: str) -> str:
    """Return the text in NFC, without blanks at its ends (Excel and web pages leave hard ones)."""
    return unicodedata.normalize("NFC", cell).strip()


def _cell_faults(number: int, cells: Cells) -> Iterator[Fault]:
    for name, cell in cells.items():
        longest = LONGEST.get(name, LONGEST_CODE)
        if cell.startswith("="):
            yield Fault(row=number, column=name, fault="formula")
        elif any(unicodedata.category(letter) in ("Cc", "Cs", "Cn", "Zl", "Zp") for letter in cell):
            yield Fault(row=number, column=name, fault="control_character")
        elif len(cell) > longest:
            yield Fault(row=number, column=name, fault="too_long", said=str(longest))
        elif name in _CODES and _SHORTENED.fullmatch(cell):
            yield Fault(row=number, column=name, fault="shortened_number", said=cell)
        elif name in _NAMES and _LOST.search(cell):
            yield Fault(row=number, column=name, fault="lost_letters", said=cell[:40])


def _row_faults(number: int, cells: Cells, models: frozenset[str] | None) -> Iterator[Fault]:
    kind = cells["kind"]
    if kind not in set(Kind):
        yield Fault(row=number, column="kind", fault="unknown_kind" if kind else "empty", said=kind)
        return
    yield from _missing(number, Kind(kind), cells)
    yield from _needless(number, Kind(kind), cells)
    yield from _shapeless(number, cells)
    yield from _wrong_models(number, cells, models)


def _missing(number: int, kind: Kind, cells: Cells) -> Iterator[Fault]:
    lacking = [name for name in ("code", *NEEDED[kind]) if not cells.get(name)]
    one_of = SAYS_SOMETHING[kind]
    if one_of and not any(cells.get(name) for name in one_of):
        lacking.append(one_of[0])
    return (Fault(row=number, column=name, fault="empty") for name in lacking)


def _needless(number: int, kind: Kind, cells: Cells) -> Iterator[Fault]:
    filled = (name for name, cell in cells.items() if cell and name not in USED[kind])
    return (Fault(row=number, column=name, fault="needless") for name in filled)


def _shapeless(number: int, cells: Cells) -> Iterator[Fault]:
    for name, (shape, fault) in _SHAPES.items():
        cell = cells.get(name, "")
        if cell and not shape.fullmatch(cell):
            yield Fault(row=number, column=name, fault=fault, said=cell)
    oid = cells.get("to_code", "")
    if cells["kind"] == Kind.CODE_SYSTEM and oid and not _OID.fullmatch(oid):
        yield Fault(row=number, column="to_code", fault="not_an_oid", said=oid)


def _wrong_models(number: int, cells: Cells, models: frozenset[str] | None) -> Iterator[Fault]:
    for name in _models(cells):
        if not _MODEL.fullmatch(name):
            yield Fault(row=number, column="models", fault="not_a_model", said=name)
        elif models is not None and name not in models:
            yield Fault(row=number, column="models", fault="unknown_model", said=name)


def _models(cells: Cells) -> list[str]:
    """Return the models that the cell names, each once: separated by blanks, commas or semicolons."""
    return list(dict.fromkeys(re.split(r"[\s,;|]+", cells.get("models", "").strip()))) if cells.get("models") else []


def _repeated(key: Key, number: int, known: dict[Key, int]) -> list[Fault]:
    first = known.setdefault(key, number)
    return [] if first == number else [Fault(row=number, column="code", fault="twice", said=str(first))]
