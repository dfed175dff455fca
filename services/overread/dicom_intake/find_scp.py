"""The Modality Worklist as SCP (PS3.4, K): a modality asks which steps are scheduled, and is answered from archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final, Protocol

from pydicom.dataset import Dataset

from overread.archive.queries import ScheduledOrder, worklist_item
from overread.contracts.errors import Malformed, Unavailable
from overread.dicom_intake.storage_scp import Peer
from overread.protocols.dicom.announced import encode_data_set, read_data_set
from overread.protocols.dicom.attribute_matching import has_unknown_keys, matches, selected
from overread.protocols.dicom.charsets import fold_to_ascii
from overread.protocols.dicom.dimse import SUCCESS, Message, Status, StatusCode
from overread.protocols.dicom.pdu import AnsweredContext
from overread.runtime.telemetry import log

MOST_ITEMS: Final = 500
"""More than a modality shows, or a day has; who asks for more is told to ask for less."""
MOST_LOOKED_AT: Final = 5_000
_DAY: Final = timedelta(days=1)
_TOO_MANY: Final = Status(StatusCode.OUT_OF_RESOURCES, f"More than {MOST_ITEMS} items match: ask for a shorter time")
_UNABLE: Final = Status(StatusCode.UNABLE_TO_PROCESS, "The worklist can't be asked at present, ask again later")
_NO_IDENTIFIER: Final = Status(StatusCode.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "The request has no identifier")


class Worklist(Protocol):
    """Which orders are scheduled."""

    async def scheduled(
        self, modalities: Sequence[str], first: datetime | None, last: datetime | None, *, limit: int
    ) -> Sequence[ScheduledOrder]:
        """Return the open orders of these modalities (none: of all) in that time; raise `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Found:
    """Each item that matches, encoded, with its status, and how the whole ended."""

    items: tuple[tuple[Status, bytes], ...]
    status: Status


class FindScp:
    """Answers C-FIND on the Modality Worklist; who is among `ascii_peers` gets names without diacritics."""

    def __init__(self, worklist: Worklist, time_zone: tzinfo, *, ascii_peers: frozenset[str]) -> None:
        self._worklist = worklist
        self._time_zone = time_zone
        self._ascii_peers = ascii_peers

    async def find(self, message: Message, context: AnsweredContext, peer: Peer) -> Found:
        """Return what the identifier matches; at most `MOST_ITEMS`, and then the status says that there is more."""
        if message.is_discarded or not message.command.has_data_set:
            return Found((), _NO_IDENTIFIER)
        try:
            keys = read_data_set(message.fragments, context.transfer_syntax)
            items = await self._items(keys, peer)
            return self._found(keys, items, context, peer)
        except Malformed as error:
            return Found((), Status(StatusCode.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, str(error)))
        except (Unavailable, OSError) as error:
            log.warning("worklist_away", association_id=str(peer.association_id), reason=type(error).__name__)
            return Found((), _UNABLE)

    async def _items(self, keys: Dataset, peer: Peer) -> list[Dataset]:
        step = (keys.get("ScheduledProcedureStepSequence") or [Dataset()])[0]
        first, last = self._time_asked(str(step.get("ScheduledProcedureStepStartDate") or ""))
        orders = await self._worklist.scheduled(_modalities(step), first, last, limit=MOST_LOOKED_AT)
        station = str(step.get("ScheduledStationAETitle") or "").strip()
        named = station if station and not {"*", "?"} & set(station) else peer.calling_ae_title
        items = [worklist_item(order.changed, order.at, self._time_zone, named) for order in orders]
        for item in items:
            if not item.ScheduledProcedureStepSequence[0].Modality:
                item.ScheduledProcedureStepSequence[0].Modality = next(iter(_modalities(step)), "OT")
        return [item for item in items if matches(keys, item)]

    def _found(self, keys: Dataset, items: list[Dataset], context: AnsweredContext, peer: Peer) -> Found:
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
        log.info("worklist_asked", association_id=str(peer.association_id), items=len(answered))
        return Found(tuple(answered), SUCCESS if len(items) <= MOST_ITEMS else _TOO_MANY)

    def _time_asked(self, dates: str) -> tuple[datetime | None, datetime | None]:
        """Return from when to when the dates go in the hospital's time; None for an open end."""
        first, dash, last = dates.partition("-")
        begin = self._midnight(first)
        end = self._midnight(last if dash else first)
        return begin, end + _DAY if end else None

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
