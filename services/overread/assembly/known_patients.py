"""Whom an order or an image means, by the patients that ADT has told of. Pure.

What an order or image says of its patient is never rewritten; it is read through the records when it is compared and
when it is shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from overread.assembly.patient_numbers import id_numbers, is_record_number, key_of, may_be_same, numbered_otherwise
from overread.assembly.patient_records import Record
from overread.contracts.events.orders import Patient, PatientIdentifier

_Fits = Callable[[PatientIdentifier, PatientIdentifier], bool]


@dataclass(frozen=True)
class KnownPatients:
    """The records that could be those of somebody who is asked about; without any, everybody is as they are stated."""

    records: Sequence[Record] = ()

    def compared(self, stated: Patient) -> Patient:
        """Return the patient as they are compared: who is stated under another name keeps it, with all known numbers."""
        record = self.find(stated.identifiers)
        if record is None:
            return stated
        if record.agrees(stated):
            return record.over(stated)
        numbers = dict.fromkeys((*stated.identifiers, *record.identifiers))
        return stated.model_copy(update={"identifiers": tuple(numbers)})

    def shown(self, stated: Patient) -> Patient:
        """Return the patient as they are shown: as ADT says, unless the number seems to be another person's.

        A merge is the hospital's word: under a number that ended in one the survivor is shown, whatever the name was.
        """
        record = self.find(stated.identifiers)
        return stated if record is None or self.is_doubtful(stated) else record.over(stated)

    def is_doubtful(self, stated: Patient) -> bool:
        """Say whether the number is one that ADT knows as another person's: name and birth date both differ."""
        record = self.find(stated.identifiers)
        return record is not None and not (record.names_merged(stated) or record.agrees(stated))

    def find(self, identifiers: Iterable[PatientIdentifier]) -> Record | None:
        """Return the one record that the numbers name: record numbers count before others, exact ones before partial.

        Where numbers name several people, nobody is found: a person looks. Nor is a record that has another number of the
        very authority and kind: who shares a citizen or insurance number with it has a record of their own.
        """
        stated = tuple(identifiers)
        near = self._near(stated)
        possible = [record for record in near if not numbered_otherwise(stated, (*record.identifiers, *record.former))]
        attempts = ((near, _is_record), (possible, _is_exact), (possible, may_be_same))
        found = (_named_by(records, stated, fits) for records, fits in attempts)
        first: list[Record] = next((records for records in found if records), [])
        return first[0] if len(first) == 1 else None

    def _near(self, stated: Sequence[PatientIdentifier]) -> Sequence[Record]:
        """Return the records that hold one of the bare numbers: among a batch's hundreds, as a rule one."""
        near = {record.record_id: record for one in stated for record in self._by_number.get(one.id_number, ())}
        return tuple(near.values())

    @cached_property
    def _by_number(self) -> Mapping[str, Sequence[Record]]:
        by_number: dict[str, list[Record]] = {}
        for record in self.records:
            for number in id_numbers((*record.identifiers, *record.former)):
                by_number.setdefault(number, []).append(record)
        return by_number


def _named_by(records: Sequence[Record], stated: Sequence[PatientIdentifier], fits: _Fits) -> list[Record]:
    return [
        record
        for record in records
        if any(fits(one, known) for one in stated for known in (*record.identifiers, *record.former))
    ]


def _is_record(one: PatientIdentifier, known: PatientIdentifier) -> bool:
    return _is_exact(one, known) and is_record_number(one)


def _is_exact(one: PatientIdentifier, known: PatientIdentifier) -> bool:
    return key_of(one) == key_of(known)
