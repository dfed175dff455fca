"""Whom an order or an image means, read through what ADT said."""

from datetime import date

from overread.assembly.known_patients import KnownPatients
from overread.assembly.patient_records import fold
from overread.assembly.patients import conflict
from overread.contracts.events.orders import Patient
from tests.builders.events import SITE, a_patient
from tests.builders.patients import CITIZEN, INSURANCE, MR, OLD, a_merge, an_adt, an_identifier, statements

STRANGER = {"family_name": "KHÁC", "given_name": "NGƯỜI", "birth_date": date(1950, 1, 1)}


def _known(*raw: bytes) -> KnownPatients:
    return KnownPatients(fold(statements(*raw), SITE).records)


def _patient(*cx: str, **changed: object) -> Patient:
    return a_patient(identifiers=tuple(an_identifier(one) for one in cx), **changed)


def test_old_and_new_number_are_one_patient() -> None:
    """An order under the number that ended and images under the one that lives belong together."""
    known = _known(an_adt("A01"), a_merge(1))
    ordered, imaged = _patient(OLD), _patient("TEST-0001^^^^")

    assert conflict(ordered, imaged) == "patient identifiers differ"
    assert conflict(known.compared(ordered), known.compared(imaged)) is None
    assert known.shown(ordered).identifiers == (an_identifier(MR),)


def test_citizen_number_names_whose_record_it_is_in() -> None:
    """Images under the citizen number and an order under the record number belong together."""
    known = _known(an_adt("A01", patient_id=f"{MR}~{CITIZEN}"))

    assert conflict(known.compared(_patient(MR)), known.compared(_patient(CITIZEN))) is None


def test_survivor_is_shown_whatever_the_merged_patient_was_called() -> None:
    """A merge is the hospital's word."""
    shown = _known(an_adt("A01"), a_merge(1)).shown(_patient(OLD, **STRANGER))

    assert (shown.given_name, shown.identifiers) == ("NGUYỄN VĂN", (an_identifier(MR),))


def test_number_under_another_persons_name_is_not_corrected_away() -> None:
    """A wrong number typed at a scanner: name and birth date are another person's, and the conflict stays visible."""
    known = _known(an_adt("A01"))
    stranger = _patient(MR, **STRANGER)

    assert known.shown(stranger) == stranger
    assert conflict(known.compared(_patient(MR)), known.compared(stranger)) == "name and birth date differ"


def test_two_strangers_under_merged_numbers_stay_in_conflict() -> None:
    """A merge joins numbers; it does not make one person's images another's order."""
    known = _known(an_adt("A01"), a_merge(1))

    assert conflict(known.compared(_patient(MR)), known.compared(_patient(OLD, **STRANGER))) is not None


def test_insurance_number_of_another_record_makes_nobody_that_patient() -> None:
    """An order under a record number that ADT has not told of, and a relative's insurance number: it stays as it is."""
    known = _known(an_adt("A01", patient_id=f"{MR}~{INSURANCE}"))
    relative = _patient(OLD, INSURANCE, given_name="CON", birth_date=None)

    assert known.shown(relative) == known.compared(relative) == relative
    assert known.shown(_patient("77^^^RIS^MR", INSURANCE)).identifiers[0] == an_identifier(MR)


def test_number_of_two_patients_names_nobody() -> None:
    """Two hospitals number alike: without an authority nobody is guessed, with one the right one is found."""
    known = _known(an_adt("A01"), an_adt("A01", patient_id="TEST-0001^^^BVY^MR"))

    assert known.find((an_identifier("TEST-0001^^^^"),)) is None
    assert (found := known.find((an_identifier("TEST-0001^^^BVY^MR"),)))
    assert found.identifiers == (an_identifier("TEST-0001^^^BVY^MR"),)


def test_who_is_not_known_stays_as_stated() -> None:
    """Most hospitals begin with orders only."""
    assert KnownPatients().shown(_patient(MR)) == KnownPatients().compared(_patient(MR)) == _patient(MR)
