"""The event that tells of a message: what a sender's messages share is written once, the rest is filled in."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts import codec
from overread.contracts.events.intake import HL7Received
from overread.runtime.telemetry import new_traceparent

if TYPE_CHECKING:
    from overread.hl7_intake.incoming import Incoming

_CHANGING = (
    "id",
    "time",
    "traceparent",
    "message_control_id",
    "message_datetime",
    "digest",
    "received_at",
    "raw_base64",
)


class SenderEvents:
    """Writes the events of one sender; `said` are the fields of HL7Received that its messages share."""

    def __init__(self, site_id: str, link_id: str, said: Mapping[str, object]) -> None:
        self._said = {"link_id": link_id, "corrects": None, **said}
        self._outer = {"source": "hl7_intake", "subject": link_id, "site_id": site_id, "caused_by": None}
        nameless = {**self._said, "object_key": None}
        self._template = codec.EventTemplate(HL7Received, nameless, _CHANGING, **self._outer)

    def write(self, message: "Incoming", object_key: str | None) -> bytes:
        """Return the event of `message`, which is in the object store if `object_key` is given, else in the event."""
        if object_key is None and message.is_plain:
            return self._template.fill(_changing(message))
        return codec.encode_fields(
            HL7Received,
            {**self._said, **_own(message, object_key)},
            **self._outer,
            id=message.event_id,
            time=message.received_at,
            traceparent=new_traceparent(),
        )

    def correction(self, message: "Incoming", object_key: str | None, corrects: UUID) -> HL7Received:
        """Return what tells of a mended message, which stands for the one called `corrects`."""
        return HL7Received.model_validate({**self._said, **_own(message, object_key), "corrects": corrects})


def _changing(message: "Incoming") -> Mapping[str, str]:
    received_at = message.received_at.isoformat().replace("+00:00", "Z")
    return {
        "id": message.event_id,
        "time": received_at,
        "traceparent": new_traceparent(),
        "message_control_id": message.message_control_id,
        "message_datetime": message.message_datetime,
        "digest": message.digest,
        "received_at": received_at,
        "raw_base64": _base64(message.raw),
    }


def _own(message: "Incoming", object_key: str | None) -> Mapping[str, object]:
    return {
        "message_control_id": message.message_control_id,
        "message_datetime": message.message_datetime or None,
        "digest": message.digest,
        "received_at": message.received_at,
        "raw_base64": None if object_key else _base64(message.raw),
        "object_key": object_key,
    }


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
