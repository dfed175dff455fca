"""The Modality Worklist as SCP (PS3.4, K): a modality asks which steps are scheduled, and is answered from archive."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final, Protocol

from pydicom.dataset import Dataset

from overread.archive.queries import ScheduledOrder, worklist_item
from overread.contracts.errors import Malformed, Unavailable
from overread.dicom_intake.storage_scp import Peer
from overread.protocols.dicom.announced import encode_data_set, items_of, read_data_set
from overread.protocols.dicom.attribute_matching import checked, has_unknown_keys, matches, selected
from overread.protocols.dicom.charsets import fold_to_ascii
from overread.protocols.dicom.dimse import SUCCESS, Message, Status, StatusCode
from overread.protocols.dicom.pdu import AnsweredContext
from overread.runtime.telemetry import log

MOST_ITEMS: Final = 500
"""More than a modality shows, or a day has; who asks for more is told to ask for less."""
MOST_LOOKED_AT: Final = 5_000
_DAY: Final = timedelta(days=1)
_TOO_MANY: Final = Status(
    StatusCode.OUT_OF_RESOURCES, f"There are more than {MOST_ITEMS} items: ask for a shorter time"
)
_UNABLE: Final = Status(StatusCode.UNABLE_TO_PROCESS, "The worklist can't be asked at present, ask again later")
_NO_IDENTIFIER: Final = Status(StatusCode.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "The request has no identifier")


class Worklist(Protocol):
    """Which orders are scheduled."""

    async def scheduled(
        self, modalities: Sequence[str], first: datetime | None, last: datetime | None, *, limit: int
    ) -> Sequence[ScheduledOrder]:
        """Return the open orders of these modalities (none: of all) in that time; raise `Unavailable`."""


class Audit(Protocol):
    """Where it is kept who was told of patients."""

    async def worklist_asked(self, peer: Peer, items: int) -> None:
        """Return when it is kept; raise `Unavailable` when it can't be."""


@dataclass(frozen=True, slots=True)
class Found:
    """Each item that matches, encoded, with its status, and how the whole ended."""

    items: tuple[tuple[Status, bytes], ...]
    status: Status


class FindScp:
    """Answers C-FIND on the Modality Worklist; who is among `ascii_peers` gets names without diacritics."""

    def __init__(self, worklist: Worklist, audit: Audit, time_zone: tzinfo, *, ascii_peers: frozenset[str]) -> None:
        self._worklist = worklist
        self._audit = audit
        self._matching = asyncio.Lock()
        self._time_zone = time_zone
        self._ascii_peers = ascii_peers

    async def find(self, message: Message, context: AnsweredContext, peer: Peer) -> Found:
        """Return what the identifier matches; at most `MOST_ITEMS`, and then the status says that there is more."""
        if message.is_discarded or not message.command.has_data_set:
            return Found((), _NO_IDENTIFIER)
        try:
            keys = checked(await asyncio.to_thread(read_data_set, message.fragments, context.transfer_syntax))
            found = await self._answered(keys, context, peer)
            await self._audit.worklist_asked(peer, len(found.items))
        except Malformed as error:
            return Found((), Status(StatusCode.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, str(error)))
        except (Unavailable, OSError) as error:
            log.warning("worklist_away", association_id=str(peer.association_id), reason=type(error).__name__)
            return Found((), _UNABLE)
        log.info("worklist_asked", association_id=str(peer.association_id), items=len(found.items))
        return found

    async def _answered(self, keys: Dataset, context: AnsweredContext, peer: Peer) -> Found:
        step = next(iter(items_of(keys, "ScheduledProcedureStepSequence")), Dataset())
        first, last = self._time_asked(str(step.get("ScheduledProcedureStepStartDate") or ""))
        orders = await self._worklist.scheduled(_modalities(step), first, last, limit=MOST_LOOKED_AT)
        async with self._matching:  # beside the loop, so that images go on; one at a time, so that they go on quickly
            return await asyncio.to_thread(self._matched, keys, step, orders, context, peer)

    def _matched(
        self, keys: Dataset, step: Dataset, orders: Sequence[ScheduledOrder], context: AnsweredContext, peer: Peer
    ) -> Found:
        station = str(step.get("ScheduledStationAETitle") or "").strip()
        named = station if station and not {"*", "?"} & set(station) else peer.calling_ae_title
        items = [worklist_item(order.changed, order.at, self._time_zone, named) for order in orders]
        for item in items:
            if not item.ScheduledProcedureStepSequence[0].Modality:
                item.ScheduledProcedureStepSequence[0].Modality = next(iter(_modalities(step)), "OT")
        found = [item for item in items if matches(keys, item)]
        return self._found(keys, found, context, peer, is_all=len(orders) < MOST_LOOKED_AT)

    def _found(
        self, keys: Dataset, items: list[Dataset], context: AnsweredContext, peer: Peer, *, is_all: bool
    ) -> Found:
        is_ascii = peer.calling_ae_title in self._ascii_peers
        answered = []
        for item in items[:MOST_ITEMS]:
            answer = selected(keys, item)
            if is_ascii:
                fold_to_ascii(answer)
            else:
                answer.SpecificCharacterSet = "ISO_IR 192"
            code = StatusCode.PENDING_WITHOUT_SOME_KEYS if has_unknown_keys(keys, item) else StatusCode.PENDING
            answered.append((Status(code), encode_data_set(answer, context.transfer_syntax)))
        return Found(tuple(answered), SUCCESS if is_all and len(items) <= MOST_ITEMS else _TOO_MANY)

    def _time_asked(self, dates: str) -> tuple[datetime | None, datetime | None]:
        """Return from when to when the dates go in the hospital's time; None for an open end."""
        first, dash, last = dates.partition("-")
        begin, end = self._midnight(first), self._midnight(last if dash else first)
        try:
            return begin, end + _DAY if end else None
        except OverflowError:  # the last day that there is
            return begin, None

    def _midnight(self, day: str) -> datetime | None:
        digits = day.replace(".", "").strip()
        if not digits:
            return None
        try:
            return datetime.combine(datetime.strptime(digits, "%Y%m%d"), time.min, self._time_zone)  # noqa: DTZ007
        except ValueError as error:
            raise Malformed(
                "Scheduled Procedure Step Start Date (0040,0002) is no date and no range of dates"
            ) from error


def _modalities(step: Dataset) -> tuple[str, ...]:
    asked = str(step.get("Modality") or "").strip()
    return (asked,) if asked and not {"*", "?"} & set(asked) else ()
