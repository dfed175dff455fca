"""What one C-STORE does, with fakes of disk and broker (PS3.4, B; DESIGN, promise 1)."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from overread.contracts.errors import Unavailable
from overread.dicom_intake.storage_scp import INSTANCES_PER_HINT, Peer, StorageScp, StorageSession
from overread.protocols.dicom.dimse import Command, Message, Status, StatusCode
from overread.protocols.dicom.pdu import AnsweredContext, ContextResult
from tests.builders import dicom
from tests.fakes.dicom_intake import FakeInstanceStore, FakeIntakeEvents

NOON = datetime(2025, 2, 3, 12, tzinfo=UTC)
PEER = Peer(association_id=UUID(int=1), calling_ae_title="CT1", called_ae_title="OVERREAD")


def a_context(transfer_syntax: str = dicom.EXPLICIT_VR_LITTLE_ENDIAN) -> AnsweredContext:
    return AnsweredContext(1, ContextResult.ACCEPTANCE, dicom.CT_IMAGE_STORAGE, transfer_syntax)


def a_message(
    data: bytes | None = None,
    *,
    instance: str = dicom.a_uid("study/series/1"),
    sop_class: str = dicom.CT_IMAGE_STORAGE,
    is_discarded: bool = False,
    has_data_set: bool = True,
) -> Message:
    data = dicom.encoded(dicom.a_ct_slice()) if data is None else data
    command = Command(
        command_field=0x0001,
        message_id=1,
        has_data_set=has_data_set,
        affected_sop_class_uid=sop_class,
        affected_sop_instance_uid=instance,
    )
    fragments = () if is_discarded else tuple(dicom.cut(data, 1_000))
    return Message(1, command, fragments, len(data), is_discarded)


class Intake:
    """A session with its fakes."""

    def __init__(self, *, failure: Exception | None = None, has_room: bool = True) -> None:
        self.store = FakeInstanceStore(failure=failure)
        self.events = FakeIntakeEvents(has_room=has_room)
        scp = StorageScp(self.store, self.events, lambda: NOON, fallback_charset="ISO_IR 192")
        self.session: StorageSession = scp.open(PEER)


@pytest.fixture
def intake() -> Intake:
    return Intake()


async def test_success_means_kept_and_told(intake: Intake) -> None:
    """Acknowledged means kept: bytes as they came, one event that names them."""
    data = dicom.encoded(dicom.a_ct_slice())

    status = await intake.session.store(a_message(data), a_context())

    (event,) = intake.events.instances
    assert status == Status(StatusCode.SUCCESS)
    assert intake.store.data_sets[event.sop_instance_uid] == data
    assert event.study_instance_uid == dicom.a_uid("study")
    assert event.object_key.endswith(f"/{event.sop_instance_uid}/receipt")
    assert event.size_bytes == len(data) + len(intake.store.headers[event.sop_instance_uid])
    assert (event.calling_ae_title, event.association_id, event.received_at) == ("CT1", UUID(int=1), NOON)
    assert event.attributes.modality == "CT"
    assert not event.is_accompanying


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (a_message(is_discarded=True), 0xA700),
        (a_message(has_data_set=False), 0xC000),
        (a_message(b"no data set"), 0xC000),
        (a_message(dicom.encoded(dicom.a_ct_slice(without="StudyInstanceUID"))), 0xC000),
        (a_message(instance=""), 0x0117),
        (a_message(instance="../../etc/passwd"), 0x0117),
        (a_message(instance="1.2.3"), 0xA900),
        (a_message(sop_class="1.2.840.10008.5.1.4.1.1.4"), 0x0122),
        (a_message(dicom.encoded(dicom.a_ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"))), 0xA900),
    ],
)
async def test_what_is_not_kept_is_refused_with_its_status(intake: Intake, message: Message, code: int) -> None:
    """PS3.4, B.2.3 and PS3.7, C: the status says why, in words that fit and name no patient."""
    status = await intake.session.store(message, a_context())

    assert status.code == code
    assert 0 < len(status.error_comment) <= 64
    assert "TEST" not in status.error_comment
    assert intake.events.told == []
    assert intake.store.data_sets == {}


@pytest.mark.parametrize("failure", [Unavailable("the disk is at its watermark"), OSError(28, "No space left")])
async def test_a_full_disk_is_out_of_resources(failure: Exception) -> None:
    """Never 0x0000 for what did not reach the disk; no event either."""
    intake = Intake(failure=failure)

    status = await intake.session.store(a_message(), a_context())

    assert status.code == StatusCode.OUT_OF_RESOURCES
    assert intake.events.told == []


async def test_too_many_waiting_events_refuse_the_next_instance() -> None:
    """What can't be told in time is not taken; nothing is buffered without bound."""
    intake = Intake(has_room=False)

    status = await intake.session.store(a_message(), a_context())

    assert status.code == StatusCode.OUT_OF_RESOURCES
    assert intake.store.data_sets == {}


async def test_the_end_of_an_association_lists_what_each_study_got(intake: Intake) -> None:
    """One hint per study, after all its instances; a repeat is named once, a refused instance never."""
    for study, number in (("a", 1), ("b", 1), ("a", 2), ("a", 2)):
        data = dicom.encoded(dicom.a_ct_slice(study=study, number=number))
        await intake.session.store(a_message(data, instance=dicom.a_uid(f"{study}/series/{number}")), a_context())
    await intake.session.store(a_message(instance="1.2.3"), a_context())

    await intake.session.close(is_orderly=True)

    assert intake.events.told[4:] == intake.events.hints
    assert {hint.study_instance_uid: hint.sop_instance_uids for hint in intake.events.hints} == {
        dicom.a_uid("a"): (dicom.a_uid("a/series/1"), dicom.a_uid("a/series/2")),
        dicom.a_uid("b"): (dicom.a_uid("b/series/1"),),
    }
    assert all(hint.is_orderly and hint.association_id == UUID(int=1) for hint in intake.events.hints)


async def test_a_long_list_is_told_in_parts(intake: Intake) -> None:
    """No event grows with the number of instances."""
    uids = [f"1.2.{number}" for number in range(INSTANCES_PER_HINT + 1)]
    scp = StorageScp(intake.store, intake.events, lambda: NOON, fallback_charset="ISO_IR 192")

    await scp.tell_closed(PEER, "1.2.3", uids, orderly=False)

    assert [len(hint.sop_instance_uids) for hint in intake.events.hints] == [INSTANCES_PER_HINT, 1]
    assert not intake.events.hints[0].is_orderly


async def test_an_association_that_delivered_nothing_says_nothing(intake: Intake) -> None:
    """An echo is no hint about a study."""
    await intake.session.close(is_orderly=True)

    assert intake.events.told == []
