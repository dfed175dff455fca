"""What is wrong with a list of destinations, in one sentence: which destination, which setting, what to write. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

KINDS = "hl7, fhir, dicom or xml4"
_SENTENCES: Mapping[str, str] = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such setting",
    "union_tag_invalid": f"it must be {KINDS}",
    "union_tag_not_found": f"it is missing; it must be {KINDS}",
}


def first_fault(error: ValidationError, written: Mapping[str, Any]) -> str:
    """Return the first fault that pydantic found in `written`, under the destination's own name."""
    fault = error.errors(include_url=False, include_input=False)[0]
    kind, place = fault["type"], list(fault["loc"])
    if place[:1] != ["destination"] or len(place) < 2 or not isinstance(place[1], int):
        return f"{'.'.join(str(part) for part in place)}: write [[destination]] once for each receiver"
    setting = ["kind"] if kind.startswith("union_tag") else place[3:]
    what = "".join(f", {name}" for name in [".".join(str(part) for part in setting if isinstance(part, str))] if name)
    return f"destination {_name(written, place[1])}{what}: {_sentence(kind, fault)}"


def _name(written: Mapping[str, Any], number: int) -> str:
    table = written["destination"][number]
    name = table.get("name") if isinstance(table, Mapping) else None
    return name if isinstance(name, str) and name else f"number {number + 1}"


def _sentence(kind: str, fault: Any) -> str:
    if kind in ("literal_error", "enum"):
        return f"it must be {fault['ctx']['expected']}"
    said: str = _SENTENCES.get(kind, fault["msg"])
    return said.removeprefix("Value error, ")


def option_of(fault: str, names: Sequence[str]) -> str:
    """Return the one of `names` that a fault of the list is about, the first where it names none."""
    return next(
        (name for name in names if fault.startswith((f"destination {name},", f"destination {name}:"))), names[0]
    )
