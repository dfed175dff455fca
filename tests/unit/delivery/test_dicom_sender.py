"""The DICOM sender against pynetdicom's SCP in the same process: what is stored is byte for byte what was rendered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, evt

from overread.contracts import codec
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.dicom_sender import EXPLICIT_VR_LITTLE_ENDIAN, SOP_CLASSES, DicomChannel, answer_of
from overread.delivery.rendering import messages_for
from overread.delivery.sending import NotTaken, Sender, Taken
from overread.delivery.store import OutboundRow
from overread.protocols.dicom.part10 import split
from tests.builders.delivery import HASTE, Rows, a_dicom_destination, a_telling, an_outbound_row
from tests.builders.events import NOON, a_signer
from tests.builders.reported_study import an_imaged_document, some_imaging

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


@cache
def some_objects() -> dict[str, bytes]:
    """Return a signed report's objects by form."""
    document = an_imaged_document(signed_by=a_signer(), signed_at=NOON, verdict="accepted")
    telling = a_telling(document, a_dicom_destination(), imaging=some_imaging())
    return {message.form: message.message for message in messages_for(telling)}


def an_object_row(form: str = "sr", number: int = 1) -> OutboundRow:
    """Return a stored object."""
    content = some_objects()[form]
    return an_outbound_row(number, form=form, message=content, message_digest=codec.sha256(content))


class Archive:
    """A storage SCP of pynetdicom that answers as it is told."""

    def __init__(
        self, answer: Callable[[int], int] = lambda _: 0, *, classes: Any = SOP_CLASSES, **entity: Any
    ) -> None:
        self._answer = answer
        self.got: list[bytes] = []
        self.associations = 0
        self.released = 0
        self._entity = AE(ae_title="PACS")
        self._entity.require_called_aet = True
        for sop_class_uid in classes:
            self._entity.add_supported_context(
                sop_class_uid, entity.get("syntaxes", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
            )

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Listen on a free port of loopback."""
        handlers: Any = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ESTABLISHED, self._established),
            (evt.EVT_RELEASED, self._released),
        ]
        server: Any = self._entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

    async def left(self) -> None:
        """Return when an association was released."""
        while not self.released:  # noqa: ASYNC110 - it is counted in a thread of pynetdicom
            await asyncio.sleep(0.01)

    def _store(self, event: Any) -> int:
        self.got.append(event.encoded_dataset(include_meta=False))
        return self._answer(len(self.got))

    def _established(self, _event: Any) -> None:
        self.associations += 1

    def _released(self, _event: Any) -> None:
        self.released += 1


@contextlib.asynccontextmanager
async def sending(rows: Rows, port: int, called: str = "PACS") -> AsyncIterator[None]:
    """Run a sender beside what is done inside."""
    channel = DicomChannel(a_dicom_destination(url=f"dicom://{called}@127.0.0.1:{port}"), HASTE)
    running = asyncio.create_task(Sender(channel, rows, HASTE, jitter=lambda: 1.0).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def send_all(rows: Rows, port: int) -> None:
    """Run a sender until every row has ended."""
    async with sending(rows, port):
        await asyncio.wait_for(rows.done.wait(), timeout=20)


async def test_every_form_is_stored_byte_for_byte_on_one_association() -> None:
    """What the gate read back is what the archive has; the association is released when nothing waits (PS3.8, 7.2)."""
    archive = Archive()
    rows = Rows(*(an_object_row(form, number) for number, form in enumerate(some_objects(), 1)))

    with archive.listening() as port:
        async with sending(rows, port):
            await asyncio.wait_for(rows.done.wait(), timeout=20)
            await asyncio.wait_for(archive.left(), timeout=5)

    assert archive.got == [split(content).data_set for content in some_objects().values()]
    assert (archive.associations, archive.released) == (1, 1)
    assert {outcome for _, outcome, _ in rows.ended} == {DeliveryOutcome.ACKNOWLEDGED}


async def test_an_archive_that_wants_implicit_vr_gets_the_same_data_set() -> None:
    """Only the encoding differs (PS3.5, A.1)."""
    archive = Archive(syntaxes=[IMPLICIT_VR_LITTLE_ENDIAN])

    with archive.listening() as port:
        await send_all(Rows(an_object_row("sr")), port)

    stored = dcmread(BytesIO(archive.got[0]), force=True)
    assert stored == dcmread(BytesIO(some_objects()["sr"]))


async def test_a_busy_archive_gets_the_same_bytes_again() -> None:
    """0xA700: out of resources, for now (PS3.4, B.2.3)."""
    archive, rows = Archive(lambda count: 0xA700 if count < 3 else 0x0000), Rows(an_object_row())

    with archive.listening() as port:
        await send_all(rows, port)

    assert len(set(archive.got)) == 1
    assert rows.postponed == ["0xA700", "0xA700"]
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_an_object_that_the_archive_can_not_understand_is_given_up() -> None:
    """0xCxxx would come again; the next object goes on."""
    archive = Archive(lambda count: 0xC000 if count == 1 else 0xB000)
    rows = Rows(an_object_row("seg", 1), an_object_row("sr", 2))

    with archive.listening() as port:
        await send_all(rows, port)

    assert [(name, outcome, reason) for name, outcome, reason in rows.ended] == [
        ("TEST-1", DeliveryOutcome.GIVEN_UP, "0xC000"),
        ("TEST-2", DeliveryOutcome.ACKNOWLEDGED, ""),
    ]


async def test_a_form_that_the_archive_does_not_take_is_given_up() -> None:
    """An archive without SEG says so when the association is made; the report goes there all the same."""
    archive = Archive(classes=[uid for uid, name in SOP_CLASSES.items() if name != "Segmentation"])
    rows = Rows(an_object_row("seg", 1), an_object_row("sr", 2))

    with archive.listening() as port:
        await send_all(rows, port)

    assert rows.ended[0] == ("TEST-1", DeliveryOutcome.GIVEN_UP, "the archive takes no Segmentation")
    assert rows.ended[1][1] is DeliveryOutcome.ACKNOWLEDGED


async def test_an_archive_that_rejects_us_is_away() -> None:
    """A wrong AE title is no fault of the object: it waits until somebody has mended the list."""
    archive, rows = Archive(), Rows(an_object_row())

    with archive.listening() as port:
        async with sending(rows, port, called="OTHER"):
            await asyncio.sleep(0.3)

    assert rows.ended == []
    assert rows.waiting


async def test_an_archive_that_comes_back_gets_what_waited() -> None:
    """Refused connections cost nothing."""
    archive, rows = Archive(), Rows(an_object_row())
    with archive.listening() as port:
        pass
    async with sending(rows, port):
        await asyncio.sleep(0.1)

    assert rows.ended == []
    with archive.listening() as port:
        await send_all(rows, port)
    assert len(archive.got) == 1


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007])
def test_success_and_warnings_are_taken(status: int) -> None:
    """A warning says that the object is stored (PS3.4, B.2.3)."""
    assert answer_of(status) == Taken()


@pytest.mark.parametrize(
    ("status", "is_content_fault"),
    [
        (0xA700, False),
        (0xA701, False),
        (0x0110, False),
        (0x0124, False),
        (0xA900, True),
        (0xC123, True),
        (0x0122, True),
    ],
)
def test_a_failure_ends_the_object_only_when_it_is_its_own(status: int, is_content_fault: bool) -> None:  # noqa: FBT001
    """0xA9xx: data set does not match; 0xCxxx: can't understand; 0xA7xx passes (PS3.4, B.2.3)."""
    answer = answer_of(status)

    assert isinstance(answer, NotTaken)
    assert answer.is_content_fault is is_content_fault
    assert answer.why.reason == f"0x{status:04X}"
