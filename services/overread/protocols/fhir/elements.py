"""Resources that others wrote, read part by part: each part knows its FHIRPath, so that a fault says where it is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Self

from overread.contracts.errors import Malformed

Resource = Mapping[str, Any]

_MOMENT = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?P<offset>Z|[+-]\d\d:\d\d))?)?)?", re.ASCII
)
"""R4's date, dateTime and instant; a time of day needs its offset, seconds may be left out as many do."""


@dataclass(frozen=True, slots=True)
class FhirFault:
    """What is wrong: where (FHIRPath), of which kind (IssueType), and a plain sentence that repeats no value."""

    expression: str
    code: str
    sentence: str


class NotUnderstood(Malformed):
    """What was sent can't be taken; `faults` say why."""

    def __init__(self, *faults: FhirFault) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.expression}: {fault.sentence}" for fault in faults))


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a resource, and its FHIRPath."""

    value: Resource
    expression: str

    @classmethod
    def of(cls, value: object, expression: str) -> Self:
        """Return the object at `expression`, or raise `NotUnderstood`."""
        if not isinstance(value, dict):
            raise NotUnderstood(FhirFault(expression, "structure", "This must be an object."))
        return cls(value, expression)

    @property
    def kind(self) -> str:
        """Return the resource's type."""
        return self.text("resourceType")

    def at(self, name: str) -> str:
        """Return the FHIRPath of a child."""
        return f"{self.expression}.{name}"

    def has(self, name: str) -> bool:
        """Say whether the child is there."""
        return self.value.get(name) is not None

    def element(self, name: str) -> "Element | None":
        """Return the child called `name`."""
        return Element.of(self.value[name], self.at(name)) if self.has(name) else None

    def elements(self, name: str) -> list["Element"]:
        """Return the repetitions of the child called `name`."""
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise NotUnderstood(FhirFault(self.at(name), "structure", "This must be a list."))
        return [Element.of(one, f"{self.at(name)}[{index}]") for index, one in enumerate(found)]

    def text(self, name: str) -> str:
        """Return the text of the child called `name`, without the blanks around it; empty where it is absent."""
        found = self.value.get(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise NotUnderstood(FhirFault(self.at(name), "structure", "This must be a text."))
        return found.strip()

    def texts(self, name: str) -> list[str]:
        """Return the repetitions of a text."""
        found = self.value.get(name) or []
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise NotUnderstood(FhirFault(self.at(name), "structure", "This must be a list of texts."))
        return [one.strip() for one in found]

    def moment(self, name: str, time_zone: tzinfo) -> datetime | None:
        """Return a date, dateTime or instant in UTC; a day begins at midnight of the hospital, `time_zone`."""
        text = self.text(name)
        if not text:
            return None
        try:
            return _moment(text, time_zone)
        except (ValueError, OverflowError):
            sentence = "This is no date, and no date and time with an offset, as 2026-11-26T09:30:00+07:00."
            raise NotUnderstood(FhirFault(self.at(name), "value", sentence)) from None

    def day(self, name: str) -> date | None:
        """Return a date that is known to the day, None for one that is not."""
        text = self.text(name)
        try:
            return date.fromisoformat(text) if len(text) == 10 else None
        except ValueError:
            raise NotUnderstood(FhirFault(self.at(name), "value", "This is no date, as 1970-01-31.")) from None

    def must_not_change_meaning(self) -> None:
        """Raise `NotUnderstood` for what may not be passed over when it is not known (R4, Extensibility)."""
        for name in ("modifierExtension", "implicitRules"):
            if self.has(name):
                sentence = "This may change the meaning of all else, and is not known here."
                raise NotUnderstood(FhirFault(self.at(name), "extension", sentence))

    def codings(self, name: str) -> Iterator["Element"]:
        """Yield the codings of a CodeableConcept, one or a list of them."""
        concepts = self.elements(name) if isinstance(self.value.get(name), list) else [self.element(name)]
        for concept in concepts:
            yield from concept.elements("coding") if concept else ()


def _moment(text: str, time_zone: tzinfo) -> datetime:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("no moment of FHIR")
    if match["offset"]:
        return datetime.fromisoformat(text).astimezone(UTC)
    year, month, day = (int(part) for part in (*text.split("-"), "1", "1")[:3])
    return datetime(year, month, day, tzinfo=time_zone).astimezone(UTC)
