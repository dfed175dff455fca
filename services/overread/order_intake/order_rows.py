"""From a row's values to the statement about one order; a value that can't be meant makes the row bad. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import TypeVar

from pydantic import ValidationError

from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement
from overread.contracts.events.orders import CodedElement, Patient, PatientIdentifier
from overread.order_intake.checks import faults_of, uncoded
from overread.order_intake.columns import Codes, Columns
from overread.order_intake.control_characters import control_faults
from overread.protocols.tables.rows import Fault, Row

T = TypeVar("T")

CITIZEN_AUTHORITY, CITIZEN_TYPE = "VNBCA", "NI"
INSURANCE_AUTHORITY, INSURANCE_TYPE = "BHXH", "HC"
FIRST_YEAR, LAST_YEAR = 1850, 2200
"""A year outside is a slip of the pen, or a format of two digits that met four."""

_LINE_END = re.compile(r"[\r\n\x0b\x0c\u2028\u2029]")
_SPACES = re.compile(r"\s+")
_OF_POINTER: Mapping[str, tuple[str, str]] = {
    "/placer": ("no_order_number", "placer_order_number"),
    "/patient/identifiers": ("no_patient_number", "patient_id"),
    "/service": ("no_service", "service_code"),
    "/replaces": ("replaces_itself", "replaces_order_number"),
    "/modality": ("no_modality", "modality"),
}
_OF_FIELD: Mapping[str, str] = {
    "number": "placer_order_number",
    "placer": "placer_order_number",
    "filler": "filler_order_number",
    "service": "service_code",
    "ordering_provider": "ordering_provider_name",
    "parent": "parent_order_number",
    "replaces": "replaces_order_number",
}


class RowRefused(Exception):
    """The row is no order that can be taken; `fault` says why, without its values."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a link's rows are read: the columns, what its codes mean, and what stands in no column.

    `date_formats` and `time_formats` are those of `strptime`; times without an offset are in `time_zone`.
    """

    columns: Columns
    codes: Codes
    date_formats: Sequence[str]
    time_formats: Sequence[str]
    time_zone: tzinfo
    assigning_authority: str
    placer_namespace: str
    filler_namespace: str
    service_coding_system: str
    modality: str
    is_synthetic: bool

    def statement(self, row: Row) -> OrderStatement:
        """Return what `row` says, or raise `RowRefused` with its first fault."""
        if row.fault is not None:
            raise RowRefused(row.fault)
        return _Values(self, row.values).statement()


class _Values:
    """The values of one row by field."""

    def __init__(self, reading: Reading, values: Mapping[str, str]) -> None:
        self._reading = reading
        self._columns = reading.columns.named()
        self._said = {field: values.get(column, "") for field, column in self._columns.items()}

    def statement(self) -> OrderStatement:
        """Return what the row says of its order."""
        for field, said in self._said.items():
            if field != "clinical_information" and _LINE_END.search(said):
                raise self._refused("value_of_two_lines", field)
            if any(control_faults(said)):
                raise self._refused("value_of_control", field)
        try:
            statement = self._unchecked()
        except ValidationError as error:
            place = error.errors(include_input=False, include_url=False, include_context=False)[0]["loc"]
            field = str(place[0]) if place else ""
            raise self._refused("value_not_allowed", _OF_FIELD.get(field, field)) from None
        for fault in (*faults_of(statement), *uncoded(statement)):
            sentence, field = _OF_POINTER.get(fault.pointer, ("no_patient_number", "patient_id"))
            raise self._refused(sentence, field)
        return statement

    def _unchecked(self) -> OrderStatement:
        reading = self._reading
        return OrderStatement(
            action=self._coded("action", reading.codes.action) or OrderAction.CHANGE,
            patient=self._patient(),
            stated_at=self._moment("stated_at"),
            placer=self._number("placer_order_number", reading.placer_namespace),
            filler=self._number("filler_order_number", reading.filler_namespace),
            accession_number=self._text("accession_number"),
            study_instance_uid=self._text("study_instance_uid"),
            service=self._code("service_code", "service_text", reading.service_coding_system),
            modality=self._text("modality") or reading.modality or None,
            body_part=self._code("body_part_code", "body_part_text", ""),
            priority=self._coded("priority", reading.codes.priority),
            scheduled_at=self._moment("scheduled_at", "scheduled_time"),
            visit_number=self._text("visit_number"),
            patient_class=self._text("patient_class"),
            patient_location=self._text("patient_location"),
            ordering_provider=self._code("ordering_provider_code", "ordering_provider_name", ""),
            clinical_information=self._text("clinical_information"),
            parent=self._number("parent_order_number", reading.placer_namespace),
            replaces=self._number("replaces_order_number", reading.placer_namespace),
            is_synthetic=reading.is_synthetic,
        )

    def _patient(self) -> Patient:
        numbered = (
            ("patient_id", self._reading.assigning_authority, "MR"),
            ("citizen_number", CITIZEN_AUTHORITY, CITIZEN_TYPE),
            ("insurance_number", INSURANCE_AUTHORITY, INSURANCE_TYPE),
        )
        family, given = self._name()
        return Patient(
            identifiers=tuple(
                PatientIdentifier(id_number=number, assigning_authority=authority, identifier_type_code=kind)
                for field, authority, kind in numbered
                if (number := self._text(field))
            ),
            family_name=family,
            given_name=given,
            birth_date=self._birth_date(),
            sex=self._coded("sex", self._reading.codes.sex) or "",
        )

    def _name(self) -> tuple[str, str]:
        whole = _SPACES.sub(" ", self._text("patient_name") or "")
        family, _, given = whole.partition("^" if "^" in whole else " ")
        given = given.replace("^", " ").strip()
        return self._text("family_name") or family.strip(), self._text("given_name") or given

    def _birth_date(self) -> date | None:
        said = self._text("birth_date")
        moment = said and _parsed(said, self._reading.date_formats)
        if said and not moment:
            raise self._refused("no_date", "birth_date", formats=", ".join(self._reading.date_formats))
        return moment.date() if moment else None

    def _moment(self, field: str, time_field: str = "") -> datetime | None:
        said = " ".join(filter(None, (self._text(field), self._text(time_field) if time_field else None)))
        if not said:
            return None
        formats = (*self._reading.time_formats, *self._reading.date_formats)
        moment = _parsed(said, formats)
        if moment is None:
            raise self._refused("no_date", field, formats=", ".join(formats))
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._reading.time_zone)).astimezone(UTC)

    def _text(self, field: str) -> str | None:
        return self._said.get(field, "").strip() or None

    def _number(self, field: str, namespace: str) -> OrderNumber | None:
        number = self._text(field)
        return OrderNumber(number=number, namespace=namespace) if number else None

    def _code(self, code: str, text: str, system: str) -> CodedElement | None:
        identifier, said = self._text(code), self._text(text)
        if not (identifier or said):
            return None
        return CodedElement(identifier=identifier or "", text=said or "", coding_system=system if identifier else "")

    def _coded(self, field: str, meaning: Callable[[str], T]) -> T | None:
        said = self._text(field)
        if said is None:
            return None
        try:
            return meaning(said)
        except LookupError:
            raise self._refused("code_unknown", field) from None

    def _refused(self, sentence: str, field: str, **values: object) -> RowRefused:
        return RowRefused(Fault(sentence, self._columns.get(field, field), values))


def _parsed(said: str, formats: Sequence[str]) -> datetime | None:
    for form in formats:
        try:
            moment = datetime.strptime(said, form)  # noqa: DTZ007 - the hospital's zone is put in where none is said
        except ValueError:
            continue
        return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None
    return None
