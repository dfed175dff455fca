"""What a peer announces beside images, by N-CREATE, N-SET and N-ACTION (PS3.4, F.7, J and R; PS3.7, 10)."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol
from uuid import uuid4

from pydicom.dataset import Dataset

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import Announced, CommitmentRequested, HintKind, ProcedureStepReported, StudyHint
from overread.contracts.identifiers import deterministic_id, parse_uid, uid_from
from overread.dicom_intake.storage_scp import INSTANCES_PER_HINT, Peer
from overread.protocols.dicom import announced
from overread.protocols.dicom.announced import (
    COMPLETED,
    DISCONTINUED,
    InvalidAttribute,
    MissingAttribute,
)
from overread.protocols.dicom.dimse import SUCCESS, CommandField, Message, Status, StatusCode
from overread.protocols.dicom.pdu import AnsweredContext
from overread.protocols.dicom.sop_classes import (
    INSTANCE_AVAILABILITY_NOTIFICATION,
    MODALITY_PERFORMED_PROCEDURE_STEP,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from overread.runtime.clock import Clock
from overread.runtime.telemetry import log

REQUEST_COMMITMENT: Final = 1
"""The one action type of the Storage Commitment Push Model (PS3.4, J.3.2)."""
_REMEMBERED_STEPS: Final = 10_000
_NO_LONGER_UPDATED: Final = 0xA506
_ENDED: Final = frozenset({COMPLETED, DISCONTINUED})
_NOT_KEPT: Final = Status(StatusCode.PROCESSING_FAILURE, "This can't be kept at present, send again later")
_NOT_HELD: Final = Status(StatusCode.PROCESSING_FAILURE, "Data set is larger than can be held at present")
_NO_DATA_SET: Final = Status(StatusCode.MISSING_ATTRIBUTE, "The request has no data set")
_NO_UID: Final = Status(StatusCode.INVALID_SOP_INSTANCE, "The SOP Instance UID is no UID")
_DUPLICATE: Final = Status(StatusCode.DUPLICATE_SOP_INSTANCE, "A step with this SOP Instance UID is there already")
_NO_SUCH_STEP: Final = Status(StatusCode.NO_SUCH_SOP_INSTANCE, "No N-CREATE has begun this step")
_STEP_ENDED: Final = Status(
    StatusCode.PROCESSING_FAILURE,
    "Performed Procedure Step Object may no longer be updated",
    _NO_LONGER_UPDATED,
)
_NOT_SERVED: Final = Status(StatusCode.UNRECOGNIZED_OPERATION, "This operation is not served for this SOP class")
_OTHER_ACTION: Final = Status(StatusCode.NO_SUCH_ACTION_TYPE, "Storage commitment has action type 1 alone")
_OTHER_INSTANCE: Final = Status(
    StatusCode.NO_SUCH_SOP_INSTANCE, f"Commitment is asked of {STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE}"
)


class Announcements(Protocol):
    """Where announcements are kept, and which steps are known."""

    async def keep(self, announced: Announced, data_set: bytes, subject: str) -> None:
        """Return when it is kept; raise `Unavailable` when it can't be."""

    async def tell(self, hints: list[StudyHint]) -> None:
        """Return when every hint is kept; raise `Unavailable` when one can't be."""

    async def step_status(self, procedure_step_uid: str) -> str | None:
        """Return a step's state, None when it is not known; raise `Unavailable` when that can't be said."""

    async def awaited_step_status(self, procedure_step_uid: str) -> str | None:
        """Return a step's state, waiting a moment for one that was begun just now."""

    async def judged(self, transaction_uid: str, calling_ae_title: str) -> "Judged | None":
        """Return what a request for commitment came to once that is known, None when it does not get known in time."""


class Judged(Protocol):
    """What a request for commitment came to."""

    @property
    def references(self) -> tuple[announced.ReferencedSop, ...]:
        """Return what was asked about."""

    @property
    def failed(self) -> dict[str, int]:
        """Return the failure reason of each instance that we don't vouch for."""


@dataclass(frozen=True, slots=True)
class EventReport:
    """What is reported to the peer later on the same association (PS3.7, 10.3.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int
    data_set: Dataset


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended, and the SOP Instance UID that we gave where the peer gave none (PS3.7, 10.1.5.1.3).

    `later` is what else the peer is to hear on this association, None from it when there is nothing.
    """

    status: Status
    sop_instance_uid: str = ""
    later: Callable[[], Awaitable[EventReport | None]] | None = None


class NormalizedScp:
    """The three services; steps begun at this process are remembered, so that the next message finds them."""

    def __init__(self, announcements: Announcements, clock: Clock, *, peers_with_address: frozenset[str]) -> None:
        self._announcements = announcements
        self._clock = clock
        self._peers_with_address = peers_with_address
        self._steps: OrderedDict[str, str] = OrderedDict()
        self._decoding = asyncio.Lock()
        self._served: dict[tuple[int, str], Callable[[Message, AnsweredContext, Peer], Awaitable[Answer]]] = {
            (CommandField.N_CREATE_RQ, MODALITY_PERFORMED_PROCEDURE_STEP): self._create_step,
            (CommandField.N_SET_RQ, MODALITY_PERFORMED_PROCEDURE_STEP): self._set_step,
            (CommandField.N_CREATE_RQ, INSTANCE_AVAILABILITY_NOTIFICATION): self._notify_available,
            (CommandField.N_ACTION_RQ, STORAGE_COMMITMENT_PUSH_MODEL): self._request_commitment,
        }

    async def perform(self, message: Message, context: AnsweredContext, peer: Peer) -> Answer:
        """Answer one request; 0x0000 means that what it says is kept."""
        serve = self._served.get((message.command.command_field, context.abstract_syntax))
        answer = Answer(_NOT_SERVED) if serve is None else await self._guarded(serve, message, context, peer)
        if answer.status is not SUCCESS:
            log.warning(
                "announcement_refused",
                association_id=str(peer.association_id),
                status=f"{answer.status.code:04X}",
                reason=answer.status.error_comment,
            )
        return answer

    async def _guarded(
        self,
        serve: Callable[[Message, AnsweredContext, Peer], Awaitable[Answer]],
        message: Message,
        context: AnsweredContext,
        peer: Peer,
    ) -> Answer:
        if message.is_discarded:
            return Answer(_NOT_HELD)
        if not message.command.has_data_set:
            return Answer(_NO_DATA_SET)
        try:
            return await serve(message, context, peer)
        except MissingAttribute as error:
            return Answer(Status(StatusCode.MISSING_ATTRIBUTE, str(error)))
        except InvalidAttribute as error:
            return Answer(Status(StatusCode.INVALID_ATTRIBUTE_VALUE, str(error)))
        except Malformed as error:
            return Answer(Status(StatusCode.PROCESSING_FAILURE, str(error)))
        except (Unavailable, OSError) as error:
            log.warning("announcement_not_kept", association_id=str(peer.association_id), reason=type(error).__name__)
            return Answer(_NOT_KEPT)

    async def _data_set(self, message: Message, context: AnsweredContext) -> Dataset:
        """Decode beside the loop, one at a time: a large list takes a second, and images go on meanwhile."""
        async with self._decoding:
            return await asyncio.to_thread(announced.read_data_set, message.fragments, context.transfer_syntax)

    async def _create_step(self, message: Message, context: AnsweredContext, peer: Peer) -> Answer:
        given = message.command.affected_sop_instance_uid
        if given and not _is_uid(given):
            return Answer(_NO_UID)
        uid = given or uid_from(uuid4())
        step = announced.created_step(await self._data_set(message, context))
        if given and await self._is_known(uid):
            return Answer(_DUPLICATE)
        await self._keep_step(message, context, peer, uid, step, is_new=True)
        return Answer(SUCCESS, uid)

    async def _set_step(self, message: Message, context: AnsweredContext, peer: Peer) -> Answer:
        uid = message.command.affected_sop_instance_uid
        if not _is_uid(uid):
            return Answer(_NO_UID)
        step = announced.changed_step(await self._data_set(message, context))
        refusal = await self._refusal_to_change(uid)
        if refusal is not None:
            return Answer(refusal)
        await self._keep_step(message, context, peer, uid, step, is_new=False)
        return Answer(SUCCESS)

    async def _is_known(self, uid: str) -> bool:
        try:
            return uid in self._steps or await self._announcements.step_status(uid) is not None
        except Unavailable:  # what archive holds can't be asked; it takes the first N-CREATE of a step alone
            return False

    async def _refusal_to_change(self, uid: str) -> Status | None:
        try:
            status = self._steps.get(uid) or await self._announcements.awaited_step_status(uid)
        except Unavailable:  # kept nevertheless; archive takes no change of a step that has ended
            return None
        if status is None:
            return _NO_SUCH_STEP
        return _STEP_ENDED if status in _ENDED else None

    async def _keep_step(
        self,
        message: Message,
        context: AnsweredContext,
        peer: Peer,
        uid: str,
        step: announced.ProcedureStep,
        *,
        is_new: bool,
    ) -> None:
        reported = ProcedureStepReported(
            calling_ae_title=peer.calling_ae_title,
            association_id=peer.association_id,
            received_at=self._clock(),
            transfer_syntax_uid=context.transfer_syntax,
            procedure_step_uid=uid,
            is_new=is_new,
            status=step.status,
            study_instance_uids=step.study_instance_uids,
            accession_numbers=step.accession_numbers,
        )
        await self._announcements.keep(reported, b"".join(message.fragments), uid)
        self._remember(uid, step.status or self._steps.get(uid, ""))

    def _remember(self, uid: str, status: str) -> None:
        if status:
            self._steps[uid] = status
            self._steps.move_to_end(uid)
        while len(self._steps) > _REMEMBERED_STEPS:
            self._steps.popitem(last=False)

    async def _notify_available(self, message: Message, context: AnsweredContext, peer: Peer) -> Answer:
        uid = message.command.affected_sop_instance_uid or uid_from(uuid4())
        available = announced.read_availability(await self._data_set(message, context))
        parts = list(_parts(available.sop_instance_uids))
        hints = [
            StudyHint(
                study_instance_uid=available.study_instance_uid,
                kind=HintKind.INSTANCES_AVAILABLE,
                calling_ae_title=peer.calling_ae_title,
                association_id=peer.association_id,
                sop_instance_uids=part,
                is_orderly=True,
                list_id=deterministic_id("availability", uid),
                part=number,
                parts=len(parts),
            )
            for number, part in enumerate(parts, start=1)
        ]
        await self._announcements.tell(hints)
        return Answer(SUCCESS, uid)

    async def _request_commitment(self, message: Message, context: AnsweredContext, peer: Peer) -> Answer:
        if message.command.action_type_id != REQUEST_COMMITMENT:
            return Answer(_OTHER_ACTION)
        if message.command.affected_sop_instance_uid != STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE:
            return Answer(_OTHER_INSTANCE)
        asked = announced.read_commitment(await self._data_set(message, context))
        request = CommitmentRequested(
            calling_ae_title=peer.calling_ae_title,
            association_id=peer.association_id,
            received_at=self._clock(),
            transfer_syntax_uid=context.transfer_syntax,
            transaction_uid=asked.transaction_uid,
            answer_here=peer.calling_ae_title not in self._peers_with_address,
        )
        await self._announcements.keep(request, b"".join(message.fragments), asked.transaction_uid)
        return Answer(SUCCESS, later=partial(self._report, request) if request.answer_here else None)

    async def _report(self, request: CommitmentRequested) -> EventReport | None:
        judged = await self._announcements.judged(request.transaction_uid, request.calling_ae_title)
        if judged is None:
            return None
        vouched = announced.Commitment(transaction_uid=request.transaction_uid, references=judged.references)
        return EventReport(
            STORAGE_COMMITMENT_PUSH_MODEL,
            STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            announced.FAILURES_EXIST if judged.failed else announced.ALL_COMMITTED,
            announced.commitment_report(vouched, judged.failed),
        )


def _parts(uids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    rest = iter(uids)
    while part := tuple(islice(rest, INSTANCES_PER_HINT)):
        yield part


def _is_uid(value: str) -> bool:
    try:
        parse_uid(value)
    except Malformed:
        return False
    return True
