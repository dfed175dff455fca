"""What one batch brought of one study: images and association ends become its case, and set its timer anew."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from overread.assembly import completeness, image_store, linking, list_store, patient_store, patients, store
from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Event
from overread.contracts.events import cases
from overread.contracts.events.intake import HintKind, InstanceAttributes, InstanceStored, IntakeRestarted, StudyHint
from overread.contracts.events.orders import Patient, PatientIdentifier
from overread.contracts.identifiers import case_id_for, nfc
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction

SAME_UID_OTHER_CONTENT = "the same SOPInstanceUID came with other content; both are kept, the first is read"


async def take(
    tx: Transaction, site_id: str, study_instance_uid: str, batch: Sequence[Delivered], settings: AssemblySettings
) -> None:
    """Note what came of one study: images link waiting orders, and whatever is new restarts the wait."""
    images = [d for d in batch if isinstance(d.event.data, InstanceStored)]
    hints = [d for d in batch if isinstance(d.event.data, StudyHint)]
    case_id = case_id_for(site_id, study_instance_uid)
    fresh = await _take_images(tx, images) if images else []
    is_waiting = bool(hints) and await _take_hints(tx, site_id, case_id, hints)
    if signals := fresh + (hints if is_waiting else []):
        await _restart_wait(tx, site_id, case_id, signals, settings)


async def _take_images(tx: Transaction, batch: Sequence[Delivered]) -> list[Delivered]:
    """Add what is new to the case; return the images that the study's next revision will hold."""
    first: Event[InstanceStored] = batch[0].event
    site_id, case_id = first.site_id, case_id_for(first.site_id, first.data.study_instance_uid)
    is_new = await store.open_case(tx, site_id, first.data, imaged_patient(first.data.attributes))
    case = await _locked(tx, site_id, case_id)
    added = await image_store.add_instances(tx, site_id, case_id, [d.event for d in batch])
    kept = [one.event for one in added if not one.is_conflicting]
    await _conflicts_to_the_desk(tx, case, added)
    numbers = {event.data.attributes.accession_number for event in kept} - {None}
    has_new_number = await store.add_accessions(tx, site_id, case_id, [number for number in numbers if number])
    if is_new or has_new_number:
        case = await linking.link_waiting_orders(tx, first, case)
    images = [event for event in kept if not event.data.is_accompanying]
    if images:
        await _note_images(tx, case, images)
    ids = {event.id for event in images}
    return [d for d in batch if d.event.id in ids]


async def _take_hints(tx: Transaction, site_id: str, case_id: UUID, hints: Sequence[Delivered]) -> bool:
    """Note what ended or was listed; say whether the case waits for more images.

    Only who holds the case's row knows that: it may be completed at this moment, and a hint never opens it again.
    """
    case = await store.lock_case(tx, site_id, case_id)
    told = [d.event.data for d in hints]
    closed = {hint.association_id for hint in told if hint.kind is HintKind.ASSOCIATION_CLOSED}
    await image_store.close_associations(tx, site_id, case_id, closed)
    await list_store.note(tx, site_id, case_id, told)
    is_waiting = case is not None and await image_store.has_timer(tx, site_id, case_id)
    if case is not None and not is_waiting:
        await list_store.drop(tx, site_id, case_id)
    return is_waiting


async def _conflicts_to_the_desk(tx: Transaction, case: store.CaseRow, added: Sequence[image_store.Added]) -> None:
    for one in added:
        stored, place = one.event.data, (tx, one.event.site_id, case.case_id)
        if one.is_conflicting:
            await store.to_the_desk(*place, "instance", stored.sop_instance_uid, SAME_UID_OTHER_CONTENT)
        elif stored.is_accompanying:
            continue
        elif reason := await _conflict(tx, one.event.site_id, case, imaged_patient(stored.attributes)):
            series = stored.attributes.series_instance_uid
            await store.to_the_desk(*place, "series", series, f"not all images name the same patient: {reason}")


async def settle_series(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Take from the desk each series whose images name the case's patient, now that more is known of patients."""
    doubtful = await store.subjects_on_desk(tx, site_id, case_id, "series")
    if not doubtful:
        return
    case = await _locked(tx, site_id, case_id)
    headers = [image.attributes for image in await image_store.images(tx, site_id, case_id)]
    named = dict.fromkeys((header.series_instance_uid, imaged_patient(header)) for header in headers)
    still = {series for series, patient in named if await _conflict(tx, site_id, case, patient)}
    for series in sorted(doubtful - still):
        await store.off_the_desk(tx, site_id, case_id, "series", series)


async def _conflict(tx: Transaction, site_id: str, case: store.CaseRow, imaged: Patient) -> str | None:
    """Return why an image can't be of the case's patient; one under a number that was merged is."""
    if patients.conflict(case.imaged_patient, imaged) is None:
        return None
    known = await patient_store.known(tx, site_id, case.imaged_patient, imaged)
    return patients.conflict(known.compared(case.imaged_patient), known.compared(imaged))


async def _note_images(tx: Transaction, case: store.CaseRow, images: Sequence[Event[InstanceStored]]) -> None:
    site_id, case_id = images[0].site_id, case.case_id
    opened_at: dict[UUID, datetime] = {}
    for event in images:
        opened_at.setdefault(event.data.association_id, event.data.received_at)
    await image_store.note_associations(tx, site_id, case_id, opened_at)
    headers = [event.data.attributes for event in images]
    is_synthetic = any(header.quality_control_image == "YES" for header in headers)
    modalities = {header.modality for header in headers if header.modality}
    await store.add_modalities(tx, site_id, case_id, modalities, is_synthetic=is_synthetic)
    if case.study is not None and not case.is_superseded:
        await store.set_superseded(tx, site_id, case_id)
        marked = replace(case, is_synthetic=case.is_synthetic or is_synthetic)
        superseded = partial(cases.StudySuperseded, superseded_revision=case.study.study_revision)
        await linking.tell(tx, images[0], marked, superseded, identity_moved=False)


async def close_with_intake(tx: Transaction, delivered: Delivered, settings: AssemblySettings) -> None:
    """End the associations of an intake that came back: no image and no end will come on them any more."""
    event: Event[IntakeRestarted] = delivered.event
    for case_id, partition in await image_store.note_restart(tx, event):
        await _locked(tx, event.site_id, case_id)
        if not await image_store.has_timer(tx, event.site_id, case_id):
            continue  # completed while its row was waited for
        await image_store.close_opened_before(tx, event.site_id, case_id, event.data.restarted_at)
        await _restart_wait(tx, event.site_id, case_id, [replace(delivered, partition=partition)], settings)


async def _restart_wait(
    tx: Transaction, site_id: str, case_id: UUID, signals: Sequence[Delivered], settings: AssemblySettings
) -> None:
    last = max(signals, key=lambda d: (d.broker_milliseconds, d.offset))
    case = await _locked(tx, site_id, case_id)
    at = datetime.fromtimestamp(last.broker_milliseconds / 1000, UTC)
    first_at = datetime.fromtimestamp(min(d.broker_milliseconds for d in signals) / 1000, UTC)
    arrivals = await image_store.note_signal(tx, site_id, case_id, (first_at, at), last.event)
    due = completeness.judge(arrivals, settings.quiet_times(case.modalities))
    await image_store.set_timer(tx, site_id, case_id, due, last.partition)


async def _locked(tx: Transaction, site_id: str, case_id: UUID) -> store.CaseRow:
    case = await store.lock_case(tx, site_id, case_id)
    if case is None:
        raise LookupError(f"case {case_id} is not there")
    return case


def imaged_patient(header: InstanceAttributes) -> Patient:
    """Return the patient as the image header names them (PS3.3, C.7.1.1)."""
    family, _, rest = (header.patient_name or "").partition("=")[0].partition("^")
    identifier = PatientIdentifier(
        id_number=header.patient_id or "", assigning_authority=header.issuer_of_patient_id or ""
    )
    return Patient(
        identifiers=(identifier,) if header.patient_id else (),
        family_name=nfc(family.strip()),
        given_name=nfc(rest.replace("^", " ").strip()),
        birth_date=header.patient_birth_date,
        sex=header.patient_sex or "",
    )


def numbers_of(images: Sequence[Event[Any]]) -> tuple[set[str], set[str]]:
    """Return the accession numbers and StudyInstanceUIDs that orders could look for."""
    stored = [event.data for event in images if isinstance(event.data, InstanceStored)]
    accessions = {one.attributes.accession_number for one in stored if one.attributes.accession_number}
    return accessions, {one.study_instance_uid for one in stored}
