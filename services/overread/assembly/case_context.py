"""What stands beside a case in each of its events: results of others, and whether a reader elsewhere has reported it."""

from datetime import timedelta

from overread.assembly import (
    appointment_store,
    appointments,
    context_store,
    observation_codes,
    observations,
    patient_store,
    reader_reports,
)
from overread.assembly.patient_numbers import id_numbers
from overread.assembly.reader_reports import CaseNames
from overread.contracts.envelope import Value
from overread.contracts.events.cases import Appointment, Case, ContextObservation, ElsewhereReading
from overread.contracts.events.orders import Patient
from overread.runtime.inbox import Transaction

_LONGEST_WINDOW = max(concept.window_days for concept in observation_codes.concepts().values())


class ToldContext(Value):
    """What is told again when it differs. The bedside's values are not: they change by the minute, and ride along."""

    laboratory: tuple[ContextObservation, ...] = ()
    read_elsewhere: ElsewhereReading | None = None
    appointments: tuple[Appointment, ...] = ()

    @classmethod
    def of(cls, case: Case) -> "ToldContext":
        """Return what an event that carries `case` tells."""
        return cls(laboratory=case.laboratory, read_elsewhere=case.read_elsewhere, appointments=case.appointments)


async def with_context(tx: Transaction, site_id: str, case: Case) -> Case:
    """Return the case with what is known around it now."""
    patient = await with_all_numbers(tx, site_id, case.patient)
    since = tx.clock() - timedelta(days=_LONGEST_WINDOW)
    known = await context_store.observations_about(tx, site_id, id_numbers(patient.identifiers), since=since)
    laboratory, bedside = observations.shown(known, patient, is_synthetic=case.is_synthetic, now=tx.clock())
    names = await _names(tx, site_id, case, patient)
    reports = await context_store.reader_reports_for(tx, site_id, case, names.accession_numbers)
    notices = await appointment_store.notices_about(tx, site_id, appointments.numbers_of(case))
    return case.model_copy(
        update={
            "laboratory": laboratory,
            "bedside": bedside,
            "read_elsewhere": reader_reports.standing(reports, names),
            "appointments": appointments.beside(notices, case, patient),
        }
    )


async def note_told(tx: Transaction, site_id: str, case: Case) -> None:
    """Keep what an event that carries `case` tells, and under which numbers results find the case."""
    patient = await with_all_numbers(tx, site_id, case.patient)
    await context_store.note_patient(tx, site_id, case.case_id, id_numbers(patient.identifiers))
    await context_store.save_told_context(tx, site_id, case.case_id, ToldContext.of(case).model_dump_json())


async def told_of(tx: Transaction, site_id: str, case: Case) -> ToldContext:
    """Return what the case's newest event told."""
    raw = await context_store.told_context(tx, site_id, case.case_id)
    return ToldContext.model_validate_json(raw) if raw else ToldContext()


async def names_of(tx: Transaction, site_id: str, case: Case) -> CaseNames:
    """Return by what a report could be about the case."""
    return await _names(tx, site_id, case, await with_all_numbers(tx, site_id, case.patient))


async def _names(tx: Transaction, site_id: str, case: Case, patient: Patient) -> CaseNames:
    return CaseNames(
        study_instance_uid=case.study_instance_uid,
        patient=patient,
        is_synthetic=case.is_synthetic,
        accession_numbers=await context_store.accessions_of(tx, site_id, case),
        orders=case.orders,
    )


async def with_all_numbers(tx: Transaction, site_id: str, patient: Patient) -> Patient:
    """Return the patient with every number that they are known to have, or had before a merge."""
    known = await patient_store.known(tx, site_id, patient)
    record = known.find(patient.identifiers)
    if record is None:
        return patient
    every = dict.fromkeys((*known.compared(patient).identifiers, *record.former))
    return patient.model_copy(update={"identifiers": tuple(every)})
