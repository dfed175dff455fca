"""What is shown of an order that was fetched: each thing that it says by its name, the patient hidden unless asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from overread.cli.hospital_time import said
from overread.contracts.events.order_statements import OrderStatement
from overread.order_intake import words
from overread.order_intake.words import Language
from overread.order_intake.worklist_orders import ListedOrder, UnusableItem
from overread.protocols.tables.rows import Fault, Row

HIDDEN = "(hidden: --show-patient)"
_OF_PATIENT = frozenset({"patient", "visit_number", "clinical_information"})


def row_lines(row: Row, read: OrderStatement | Fault, language: Language, *, shows_patient: bool) -> Iterator[str]:
    """Yield what one row is, or why it would go back."""
    place = f"row {row.number}, line {row.line}"
    if isinstance(read, Fault):
        column = f"{read.column}: " if read.column else ""
        yield f"{place}: goes back; {column}{words.said(read.sentence, language, read.values)}"
        return
    yield f"{place}:"
    yield from statement_lines(read, shows_patient=shows_patient)


def item_lines(found: ListedOrder | UnusableItem, *, shows_patient: bool) -> Iterator[str]:
    """Yield what one order of a worklist is, or why it can't be taken."""
    if isinstance(found, UnusableItem):
        yield f"item {found.key[:16]}: can't be taken; {found.reason}"
        return
    yield f"order {found.key[:16]}:"
    yield from statement_lines(found.statement, shows_patient=shows_patient)


def statement_lines(statement: OrderStatement, *, shows_patient: bool) -> Iterator[str]:
    """Yield each thing that is said, one a line."""
    for name, value in statement.model_dump(mode="json", exclude_defaults=True).items():
        shown = HIDDEN if name in _OF_PATIENT and not shows_patient else _shown(value)
        yield f"  {name:22} {shown}"


def state_lines(view: Mapping[str, Any]) -> Iterator[str]:
    """Yield how each link of a running intake is."""
    if view["fault"]:
        yield f"the file of links is not used: {view['fault']}"
    for link in view["links"]:
        last = said(link["last_round_at"]) if link["last_round_at"] else "never"
        yield f"{link['link']:20} {link['kind']:9} last good round {last}; {link['warning'] or 'well'}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(filter(None, (_shown(part) for part in value.values())))
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value)
    return "" if value is None else str(value)
