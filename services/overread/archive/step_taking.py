"""Takes what a modality reports of its procedure steps (PS3.4, F.7): each step once, each end for all its studies."""

import asyncio

from overread.archive import step_store, steps, worklist_store
from overread.contracts.envelope import Event
from overread.contracts.events.intake import ProcedureStepReported
from overread.contracts.topics import DICOM_RECEIVED
from overread.protocols.dicom.announced import COMPLETED, changed_step, read_data_set
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import log


async def take(tx: Transaction, event: Event[ProcedureStepReported], data_set: bytes) -> None:
    """Keep the step as it is now, and tell its studies; what changes no state tells nothing.

    A step that was ended stays as it is. An end without a beginning is of the studies of which we hold what it lists.
    """
    reported = event.data
    known = await step_store.lock_step(tx, event.site_id, reported.procedure_step_uid)
    if known is not None and (reported.is_new or known.status in steps.ENDED):
        log.warning("step_not_taken", status=known.status, is_new=reported.is_new)
        return
    step = changed_step(await asyncio.to_thread(read_data_set, [data_set], reported.transfer_syntax_uid))
    studies = known.study_instance_uids if known else reported.study_instance_uids
    if not studies:
        studies = tuple(await step_store.studies_of(tx, event.site_id, step.sop_instance_uids))
    accessions = known.accession_numbers if known else reported.accession_numbers
    await step_store.save_step(tx, event, studies, accessions)
    if reported.status == COMPLETED:
        await worklist_store.note_performed(tx, event.site_id, studies, accessions)
    if reported.is_new or reported.status in steps.ENDED:
        for hint in steps.hints(event.site_id, reported, studies, step.sop_instance_uids):
            own_key = f"{reported.procedure_step_uid}/{hint.study_instance_uid}/{hint.part}"
            tx.publish(DICOM_RECEIVED, hint, subject="procedure step", own_key=own_key, caused_by=event)
