"""Keeps what a person mended as a new message of its link: judged by the link's rules like any other, and told of once.

Only the intake writes `hl7.received`. The guard against repeats is not asked: a mended message may keep the control ID of
the one that it stands for, and its event's id is made of that one and its own bytes.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import CorrectionRequested
from overread.contracts.identifiers import corrected_event_id
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.open_link import OpenLink
from overread.hl7_intake.reception import Reception
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import log


class Corrections:
    """What the intake does with `corrections.requested`; `get` reads a large message from the object store."""

    def __init__(self, reception: Reception, get: Callable[[str], Awaitable[bytes]]) -> None:
        self._reception = reception
        self._get = get

    async def requested(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Tell of each mended message; asked for twice it is the same event."""
        for delivered in batch:
            await self._keep(delivered.event, tx)

    async def _keep(self, event: Event[CorrectionRequested], tx: Transaction) -> None:
        asked = event.data
        raw = base64.b64decode(asked.raw_base64) if asked.raw_base64 else await self._get(asked.object_key or "")
        if codec.sha256(raw) != asked.digest:
            raise Malformed("the mended message is not what its digest says")
        body = self._link(asked.link_id).intake.corrected(raw, asked.corrects, asked.object_key)
        event_id = corrected_event_id(event.site_id, asked.corrects, asked.digest)
        tx.publish(HL7_RECEIVED, body, subject=body.link_id, own_key="", caused_by=event, event_id=event_id)
        log.info("correction_kept", link=body.link_id, event_id=str(event_id), corrects=str(asked.corrects))

    def _link(self, link_id: str) -> OpenLink:
        if not self._reception.open_links:
            raise Unavailable("no link is open yet")
        at = self._reception.open_links.get(link_id)
        if at is None:
            raise Malformed(f"there is no link {link_id} any more: open it again, then replay this")
        return at
