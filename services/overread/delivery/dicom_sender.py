"""Objects out to one archive by C-STORE (PS3.4, B); pynetdicom plays the SCU, in threads of its own."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from io import BytesIO

from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.association import Association

from overread.contracts.errors import Unavailable
from overread.delivery.destinations import DicomDestination
from overread.delivery.sending import Answer, NoAnswer, NotTaken, Patience, Taken
from overread.delivery.store import OutboundRow, Why
from overread.runtime.associations import associate, client_context, leave

EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
SOP_CLASSES: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive 3D SR",
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key Object Selection",
}
"""What we make."""

SUCCESS = 0x0000
PASSING = frozenset({0x0110, 0x0124, 0x0210, 0x0213})
"""Processing failure, not authorised, duplicate invocation, resource limitation (PS3.7, C.5)."""


class DicomChannel:
    """An association with one archive; it is left as soon as there is nothing more to store.

    Many archives take few associations at a time, so an idle one would keep a scanner out.
    """

    def __init__(self, destination: DicomDestination, patience: Patience) -> None:
        self._destination = destination
        self._patience = patience
        self._association: Association | None = None
        self._message_id = 0

    @property
    def destination(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    async def connect(self) -> None:
        """Have an association, or raise `Unavailable`."""
        if self._association is None or not self._association.is_established:
            await self.close()
            self._association = await asyncio.to_thread(_associate, self._destination, self._patience)

    async def exchange(self, row: OutboundRow) -> Answer:
        """Store the object and return what the archive says; `NoAnswer` when the association ends without a word."""
        if self._association is None:
            raise Unavailable("not connected")
        self._message_id = self._message_id % 65535 + 1
        return await asyncio.to_thread(_store, self._association, row.message, self._message_id)

    async def idle(self) -> None:
        """Release the association."""
        await self.close()

    async def close(self) -> None:
        """Release the association, or abort it when it no longer answers."""
        if self._association is not None:
            association, self._association = self._association, None
            await asyncio.to_thread(leave, association)


def answer_of(status: int) -> Answer:
    """Return what a C-STORE status means (PS3.4, B.2.3; PS3.7, C): a warning says that the object is kept."""
    if status == SUCCESS or status & 0xF000 == 0xB000:
        return Taken()
    is_passing = status & 0xFF00 == 0xA700 or status in PASSING
    return NotTaken(Why(reason=f"0x{status:04X}"), is_content_fault=not is_passing)


def _associate(destination: DicomDestination, patience: Patience) -> Association:
    entity = AE(ae_title=destination.calling_ae_title)
    entity.connection_timeout = patience.connect_seconds
    entity.acse_timeout = entity.dimse_timeout = patience.acknowledgment_seconds
    for sop_class_uid in SOP_CLASSES:
        entity.add_requested_context(sop_class_uid, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
    return associate(
        entity,
        destination.host,
        destination.port,
        called_ae_title=destination.called_ae_title,
        tls=partial(_tls_context, destination) if destination.uses_tls else None,
    )


def _store(association: Association, content: bytes, message_id: int) -> Answer:
    data_set = dcmread(BytesIO(content))
    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    if data_set.SOPClassUID not in accepted:
        name = SOP_CLASSES.get(str(data_set.SOPClassUID), "object")
        return NotTaken(Why(reason=f"the archive takes no {name}"), is_content_fault=True)
    status = _status_of(association, data_set, message_id)
    if status is None:
        raise NoAnswer("the association ended without an answer")
    return answer_of(status)


def _status_of(association: Association, data_set: Dataset, message_id: int) -> int | None:
    try:
        status: int | None = association.send_c_store(data_set, msg_id=message_id).get("Status")
    except RuntimeError as error:
        raise NoAnswer("the association ended") from error
    return status


def _tls_context(destination: DicomDestination) -> ssl.SSLContext:
    return client_context(destination.ca_file, destination.certificate_file, destination.key_file)
