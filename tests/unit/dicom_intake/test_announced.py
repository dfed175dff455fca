"""What MPPS, Instance Availability and Storage Commitment are answered (PS3.4, F.7, J and R)."""

from typing import Any
from uuid import UUID

import pytest
from pydicom.dataset import Dataset

from overread.contracts.errors import Unavailable
from overread.contracts.events.intake import CommitmentRequested, HintKind, ProcedureStepReported
from overread.dicom_intake.normalized_scp import Answer, NormalizedScp
from overread.dicom_intake.storage_scp import Peer
from overread.protocols.dicom import sop_classes
from overread.protocols.dicom.announced import MOST_ITEMS, ReferencedSop
from overread.protocols.dicom.dimse import SUCCESS, Command, CommandField, Message
from overread.protocols.dicom.pdu import AnsweredContext, ContextResult
from tests.builders import announced, dicom
from tests.builders.events import NOON, STUDY
from tests.fakes.dicom_intake import FakeAnnouncements

PEER = Peer(association_id=UUID(int=1), calling_ae_title="TESTCT", called_ae_title="OVERREAD")
MPPS = sop_classes.MODALITY_PERFORMED_PROCEDURE_STEP
AVAILABILITY = sop_classes.INSTANCE_AVAILABILITY_NOTIFICATION
COMMITMENT = sop_classes.STORAGE_COMMITMENT_PUSH_MODEL
IMAGES = [f"{STUDY}.1", f"{STUDY}.2"]


class Intake:
    """The services with a fake of broker and archive."""

    def __init__(self, *, peers: frozenset[str] = frozenset(), **known: object) -> None:
        self.announcements = FakeAnnouncements(**known)  # type: ignore[arg-type]  # as the fake's own arguments
        self.scp = NormalizedScp(self.announcements, lambda: NOON, peers_with_address=peers)

    async def asked(
        self,
        field: CommandField,
        sop_class: str,
        data_set: Dataset | bytes | None,
        *,
        instance: str = announced.STEP,
        action: int = 0,
        is_discarded: bool = False,
    ) -> Answer:
        data = dicom.encoded(data_set) if isinstance(data_set, Dataset) else data_set or b""
        command = Command(
            command_field=field,
            message_id=1,
            has_data_set=data_set is not None,
            affected_sop_class_uid=sop_class,
            affected_sop_instance_uid=instance,
            action_type_id=action,
        )
        context = AnsweredContext(1, ContextResult.ACCEPTANCE, sop_class, dicom.EXPLICIT_VR_LITTLE_ENDIAN)
        return await self.scp.perform(Message(1, command, (data,), len(data), is_discarded), context, PEER)

    async def begun(self, **changed: Any) -> Answer:
        return await self.asked(CommandField.N_CREATE_RQ, MPPS, announced.a_begun_step(**changed))

    async def ended(self, status: str = "COMPLETED") -> Answer:
        return await self.asked(CommandField.N_SET_RQ, MPPS, announced.an_ended_step(IMAGES, status))


async def test_a_step_is_kept_from_its_start_to_its_end() -> None:
    """0x0000 means that both messages are kept, byte for byte."""
    intake = Intake()

    answers = [await intake.begun(), await intake.ended()]

    (start, data), (end, _) = intake.announcements.kept
    assert [answer.status for answer in answers] == [SUCCESS, SUCCESS]
    assert data == dicom.encoded(announced.a_begun_step())
    assert isinstance(start, ProcedureStepReported)
    assert (start.is_new, start.status, start.study_instance_uids) == (True, "IN PROGRESS", (STUDY,))
    assert isinstance(end, ProcedureStepReported)
    assert (end.is_new, end.status, end.procedure_step_uid) == (False, "COMPLETED", announced.STEP)


async def test_a_step_without_a_uid_is_given_one() -> None:
    """PS3.7, 10.1.5.1.3: the SCP names the instance when the SCU does not."""
    intake = Intake()

    answer = await intake.asked(CommandField.N_CREATE_RQ, MPPS, announced.a_begun_step(), instance="")

    assert answer.status == SUCCESS
    assert answer.sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "DONE"}, 0x0106),
        ({"PerformedProcedureStepStatus": ""}, 0x0120),
        ({"ScheduledStepAttributesSequence": []}, 0x0120),
    ],
)
async def test_a_step_that_can_t_be_begun_is_refused_by_its_code(changed: dict[str, object], code: int) -> None:
    """Bad input gets the code of its protocol and a reason, and nothing is kept (PS3.7, C.4)."""
    intake = Intake()

    answer = await intake.begun(**changed)

    assert (answer.status.code, bool(answer.status.error_comment)) == (code, True)
    assert intake.announcements.kept == []


async def test_a_step_begins_once_and_is_not_changed_after_its_end() -> None:
    """PS3.4, F.7.2.1.3 and F.7.2.2.3: 0x0111, 0x0110 with A506, 0x0112; here, and where archive knew the step before."""
    intake, another = Intake(), Intake(steps={announced.STEP: "COMPLETED"})
    await intake.begun()
    await intake.ended()

    codes = [
        (await intake.begun()).status.code,
        (await intake.ended()).status.error_id,
        (await another.begun()).status.code,
        (await another.ended()).status.error_id,
        (await Intake().ended()).status.code,
    ]

    assert codes == [0x0111, 0xA506, 0x0111, 0xA506, 0x0112]


async def test_what_can_t_be_kept_is_not_acknowledged() -> None:
    """Acknowledged means kept; the sender hears that it should come again."""
    intake = Intake(failure=Unavailable("the event broker does not answer"))

    answers = [
        await intake.begun(),
        await intake.asked(CommandField.N_CREATE_RQ, AVAILABILITY, announced.an_availability(IMAGES)),
    ]

    assert [answer.status.code for answer in answers] == [0x0110, 0x0110]


@pytest.mark.parametrize("data_set", [None, b"no data set", b"\x40\x00\x52\x02CS\xff\xff"])
async def test_bytes_that_are_no_data_set_are_refused(data_set: bytes | None) -> None:
    """Garbage ends as a status, never as an exception."""
    answer = await Intake().asked(CommandField.N_CREATE_RQ, MPPS, data_set)

    assert answer.status.code in {0x0110, 0x0120}


async def test_an_availability_is_told_with_its_list() -> None:
    """PS3.4, R: what is offline or gone is not on it."""
    intake = Intake()

    online = await intake.asked(CommandField.N_CREATE_RQ, AVAILABILITY, announced.an_availability(IMAGES))
    offline = announced.an_availability(IMAGES, is_online=False)
    nothing = await intake.asked(CommandField.N_CREATE_RQ, AVAILABILITY, offline, instance="1.2.9")

    (hint,) = intake.announcements.hints
    assert (online.status, nothing.status) == (SUCCESS, SUCCESS)
    assert (hint.kind, hint.study_instance_uid) == (HintKind.INSTANCES_AVAILABLE, STUDY)
    assert hint.sop_instance_uids == tuple(IMAGES)


async def test_a_request_for_commitment_is_kept_and_answered_where_its_peer_hears_it() -> None:
    """PS3.4, J: without an address of the peer the report comes on its association, with what failed."""
    request = announced.a_commitment(IMAGES)
    here, away = Intake(), Intake(peers=frozenset({"TESTCT"}))
    references = tuple(ReferencedSop(announced.CT_IMAGE_STORAGE, uid) for uid in IMAGES)
    here.announcements.judgement = announced.a_judgement(references, {IMAGES[1]: 0x0112})
    instance = sop_classes.STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE

    answers = [
        await one.asked(CommandField.N_ACTION_RQ, COMMITMENT, request, instance=instance, action=1)
        for one in (here, away)
    ]
    report = await answers[0].later() if answers[0].later else None

    assert [answer.status for answer in answers] == [SUCCESS, SUCCESS]
    assert [type(one.announcements.kept[0][0]) for one in (here, away)] == [CommitmentRequested] * 2
    assert answers[1].later is None
    assert report is not None
    assert report.event_type_id == 2
    assert [item.ReferencedSOPInstanceUID for item in report.data_set.ReferencedSOPSequence] == IMAGES[:1]
    assert [item.FailureReason for item in report.data_set.FailedSOPSequence] == [0x0112]


@pytest.mark.parametrize(
    ("action", "instance", "code"),
    [(2, sop_classes.STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, 0x0123), (1, "1.2.3", 0x0112)],
)
async def test_another_action_or_instance_of_commitment_is_refused(action: int, instance: str, code: int) -> None:
    """PS3.7, C.5: no such action, no such instance."""
    request = announced.a_commitment(IMAGES)

    answer = await Intake().asked(CommandField.N_ACTION_RQ, COMMITMENT, request, instance=instance, action=action)

    assert answer.status.code == code


async def test_an_operation_that_a_sop_class_has_not_is_refused() -> None:
    """PS3.7, C.5.12: an N-SET of an availability is no operation of it."""
    answer = await Intake().asked(CommandField.N_SET_RQ, AVAILABILITY, announced.an_availability(IMAGES))

    assert answer.status.code == 0x0211


def _with(keyword: str, vr: str, value: Any) -> Dataset:
    data_set = (
        announced.a_begun_step() if keyword == "ScheduledStepAttributesSequence" else announced.a_commitment(IMAGES)
    )
    data_set.add_new(keyword, vr, value)
    return data_set


@pytest.mark.parametrize(
    ("field", "sop_class", "data_set"),
    [
        (CommandField.N_CREATE_RQ, MPPS, _with("ScheduledStepAttributesSequence", "LO", ["a", "b"])),
        (CommandField.N_ACTION_RQ, COMMITMENT, _with("ReferencedSOPSequence", "LO", "a")),
        (CommandField.N_ACTION_RQ, COMMITMENT, _with("ReferencedSOPSequence", "US", [1, 2])),
    ],
)
async def test_a_value_where_a_sequence_is_due_is_named(field: CommandField, sop_class: str, data_set: Dataset) -> None:
    """Another representation than the attribute has is an invalid value, no exception."""
    instance = sop_classes.STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE if sop_class == COMMITMENT else announced.STEP

    answer = await Intake().asked(field, sop_class, data_set, instance=instance, action=1)

    assert (answer.status.code, "is no sequence" in answer.status.error_comment) == (0x0106, True)


async def test_more_items_than_a_study_has_are_refused_before_they_are_decoded() -> None:
    """Empty items are eight bytes each, and take a tenth of a millisecond to decode."""
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * (MOST_ITEMS + 1)
    raw = b"\x08\x00\x99\x11SQ\x00\x00" + len(items).to_bytes(4, "little") + items
    instance = sop_classes.STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE

    answer = await Intake().asked(CommandField.N_ACTION_RQ, COMMITMENT, raw, instance=instance, action=1)

    assert (answer.status.code, str(MOST_ITEMS) in answer.status.error_comment) == (0x0110, True)
