"""One question to a RIS (C-FIND, PS3.7, 9.1.2): bounded in time and in items, and given up when the service stops.

pynetdicom's calls block, so each runs in a thread; what it waits for is ended by aborting the association.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dsutils import encode

from overread.contracts.errors import Malformed, Unavailable
from overread.order_intake.worklist_settings import WorklistLink
from overread.protocols.dicom.modality_worklist import MODALITY_WORKLIST_FIND, Question, WorklistItem, read_item
from overread.runtime.associations import associate, client_context, leave

EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
SUCCESS, CANCELLED = 0x0000, 0xFE00
PENDING = frozenset({0xFF00, 0xFF01})
MESSAGE_ID = 1
LETTING_GO_ITEMS, LETTING_GO_SECONDS = 100, 5.0
"""What is still read after a C-CANCEL before the association is aborted: some send on what they had begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """What a RIS answered: its items, how many could not be decoded, and whether that is all that it has."""

    items: tuple[WorklistItem, ...]
    undecodable: int = 0
    is_complete: bool = True


class WorklistQuery:
    """Asks one RIS, one question at a time, in a thread of its own."""

    def __init__(self, link: WorklistLink) -> None:
        _say_nothing_of_patients()
        self._link = link
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"worklist-{link.link_id}")
        self._association: Association | None = None
        self._is_closed = False

    async def ask(self, question: Question) -> Worklist:
        """Return the answer, or raise `Unavailable` with why there is none; cancelled, it lets the RIS go at once."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, question)
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """End the question that is under way, and ask no more."""
        self._is_closed = True
        if (association := self._association) is not None:
            association.abort(block=False)
            association.dimse.msg_queue.put((None, None))  # who waits for an answer hears that there is none
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self, question: Question) -> Worklist:
        if self._is_closed:
            raise Unavailable("the service stops")
        association = self._association = self._associated()
        try:
            return self._answered(association, question)
        except RuntimeError as error:  # the association ended between two calls
            raise Unavailable("the association ended without an answer") from error
        finally:
            self._association = None
            leave(association)

    def _associated(self) -> Association:
        link = self._link
        entity = AE(ae_title=link.calling_ae_title)
        entity.connection_timeout = link.connect_seconds
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = link.answer_seconds
        entity.add_requested_context(MODALITY_WORKLIST_FIND, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
        files = (link.ca_file, link.certificate_file, link.key_file)
        association = associate(
            entity,
            link.host,
            link.port,
            called_ae_title=link.called_ae_title,
            tls=partial(client_context, *files) if link.uses_tls else None,
        )
        if not association.accepted_contexts:
            leave(association)
            raise Unavailable("the RIS offers no Modality Worklist")
        return association

    def _answered(self, association: Association, question: Question) -> Worklist:
        is_implicit = association.accepted_contexts[0].transfer_syntax[0] == IMPLICIT_VR_LITTLE_ENDIAN
        answers = association.send_c_find(question.identifier(), MODALITY_WORKLIST_FIND, msg_id=MESSAGE_ID)
        ends = time.monotonic() + self._link.question_seconds
        items: list[WorklistItem] = []
        undecodable = 0
        for item in _pending(answers):
            if len(items) >= self._link.maximum_items or time.monotonic() > ends or self._is_closed:
                _cancel(association, answers)
                return Worklist(items=tuple(items), undecodable=undecodable, is_complete=False)
            try:
                items.append(self._read(item, is_implicit=is_implicit))
            except Malformed:
                undecodable += 1
        return Worklist(items=tuple(items), undecodable=undecodable, is_complete=True)

    def _read(self, item: Dataset | None, *, is_implicit: bool) -> WorklistItem:
        raw = encode(item, is_implicit, is_little_endian=True) if item is not None else None
        if raw is None:
            raise Malformed("the item's data set can't be decoded")
        return read_item(raw, is_implicit=is_implicit, fallback_charset=self._link.fallback_charset)


def _pending(answers: Iterator[tuple[Dataset, Dataset | None]]) -> Iterator[Dataset | None]:
    """Yield each item up to the final answer; `Unavailable` when that is none, or not a success (PS3.4, table K.4-1)."""
    for status, item in answers:
        code = status.get("Status")
        if code is None:
            raise Unavailable("the RIS gave no answer in time, or ended the association")
        if code in PENDING:
            yield item
        elif code == SUCCESS:
            return
        else:
            raise Unavailable(f"the RIS refused the question with 0x{code:04X}")
    raise Unavailable("the association ended without an answer")


def _cancel(association: Association, answers: Iterator[Any]) -> None:
    """Ask for no more (C-CANCEL, PS3.7, 9.3.2.3), and abort when it comes all the same."""
    ends = time.monotonic() + LETTING_GO_SECONDS
    with contextlib.suppress(RuntimeError):
        association.send_c_cancel(MESSAGE_ID, query_model=MODALITY_WORKLIST_FIND)
        for count, (status, _) in enumerate(answers):
            if status.get("Status") not in PENDING:
                return
            if count >= LETTING_GO_ITEMS or time.monotonic() > ends:
                break
    association.abort()


def _say_nothing_of_patients() -> None:
    """Have pynetdicom log no identifier, and no error with a value of one in it."""
    _config.LOG_RESPONSE_IDENTIFIERS = _config.LOG_REQUEST_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
