"""Requests for commitment: for which of the instances we vouch, judged once, and told until it is heard (PS3.4, J)."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from overread.archive import commitment_store, study_lists
from overread.contracts.envelope import Event
from overread.contracts.events.intake import CommitmentRequested, HintKind, StudyHint
from overread.contracts.identifiers import deterministic_id
from overread.protocols.dicom.announced import ReferencedSop, read_commitment, read_data_set
from overread.runtime.inbox import Transaction

GRACE: Final = timedelta(seconds=30)
"""How long an instance may be on its way to us by another path when commitment is asked."""
LONGEST_TRY: Final = timedelta(hours=24)


class FailureReason(IntEnum):
    """(0008,1197) (PS3.3, C.14.1.1)."""

    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance for which we do not vouch, and why."""

    reference: ReferencedSop
    reason: FailureReason


def judge(references: Iterable[ReferencedSop], held: Mapping[str, str]) -> list[Failed]:
    """Return those of `references` for which we can't vouch; `held` has the SOP class of each instance that is kept."""
    failed = []
    for reference in references:
        sop_class = held.get(reference.sop_instance_uid)
        if sop_class is None:
            failed.append(Failed(reference, FailureReason.NO_SUCH_OBJECT_INSTANCE))
        elif sop_class != reference.sop_class_uid:
            failed.append(Failed(reference, FailureReason.CLASS_INSTANCE_CONFLICT))
    return failed


def is_settled(failed: Sequence[Failed], requested_at: datetime, now: datetime) -> bool:
    """Say whether the judgement is final: nothing is missing, or what is missing had its time to come."""
    is_missing = any(one.reason is FailureReason.NO_SUCH_OBJECT_INSTANCE for one in failed)
    return not is_missing or now >= requested_at + GRACE


def hints(row: commitment_store.CommitmentRow, study_instance_uid: str, instances: Sequence[str]) -> list[StudyHint]:
    """Return what a study hears of a request: the instances that its modality has sent, or says that it has."""
    return study_lists.hints(
        study_instance_uid,
        instances,
        kind=HintKind.COMMITMENT_REQUESTED,
        list_id=deterministic_id("commitment", *row.key),
        calling_ae_title=row.calling_ae_title,
        association_id=row.association_id,
    )


def next_try(attempts: int) -> timedelta:
    """Return how long to wait after the `attempts`-th report that nobody took: seconds at first, an hour at most."""
    return min(timedelta(seconds=2 ** min(attempts, 12)), timedelta(hours=1))


async def take(tx: Transaction, event: Event[CommitmentRequested], data_set: bytes) -> None:
    """Keep a request; the `Committer` judges and answers it. A number that is used again asks anew."""
    asked = read_commitment(await asyncio.to_thread(read_data_set, [data_set], event.data.transfer_syntax_uid))
    await commitment_store.add(tx, event, asked.references)
