"""One look at a folder: each whole file's rows are kept, and only then is the file moved. Kept before moved.

A row's message id is its file's digest and its number: whatever is read again, after a crash or since somebody dropped the
same file twice, is known again and makes no second order.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import tzinfo
from io import BufferedReader
from itertools import islice
from typing import Protocol, TypeVar

from overread.contracts.errors import Malformed
from overread.contracts.events.order_statements import OrderForm, OrderStatement
from overread.order_intake import words
from overread.order_intake.folder_files import FileMoved, Folder, Found, open_found, still_is
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.order_rows import Reading, RowRefused
from overread.protocols.tables.csv_rows import csv_rows
from overread.protocols.tables.rows import Fault, FileRefused, Row
from overread.protocols.tables.xml_rows import xml_rows
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.telemetry import ORDER_SOURCE_ITEMS, log

T = TypeVar("T")

ROWS_AT_ONCE = 200
"""Read from the file at a time, and begun to be kept together: their flushes are shared."""

MEDIA_TYPES = {"csv": "text/csv", "xml": "application/xml"}


class Keep(Protocol):
    """Keeps one statement; the real one is `Intake.keep`."""

    def __call__(
        self,
        statement: OrderStatement,
        raw: bytes,
        *,
        form: OrderForm,
        media_type: str,
        link_id: str,
        message_id: str,
    ) -> Awaitable[object]:
        """Return once it is kept, raise `Malformed` for what can never be, `Unavailable` for what can't be now."""


@dataclass(slots=True)
class Outcome:
    """What became of one file: rows that were kept, and the reasons of those that were not, as lines of CSV."""

    digest: str = ""
    kept: int = 0
    reasons: list[tuple[int, str, str]] = field(default_factory=list)


class FolderRounds:
    """The rounds of one link; its files are read in a thread of its own, so that a dead share keeps up nobody else."""

    def __init__(self, link: FolderLink, keep: Keep, time_zone: tzinfo, clock: Callable[[], float]) -> None:
        self._link = link
        self._keep = keep
        self._reading = link.reading(time_zone)
        self._clock = clock
        self._folder = Folder(link)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"folder-{link.link_id}")

    async def round(self) -> str | None:
        """Take every whole file; return a warning, None when there is none; raise `Unavailable` when nothing can be kept.

        What a file says before `Unavailable` is kept; the file stays, and is taken again from its first row.
        """
        defects = 0
        for found in await self._off_loop(self._folder.take_whole, self._clock()):
            taken = await or_any_defect(self._take(found), link=self._link.link_id)
            defects += isinstance(taken, Defect)
        return self._warning(self._folder.odd_names, defects)

    def close(self) -> None:
        """Let the thread go; one that hangs in a dead share is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _warning(self, odd_names: int, defects: int) -> str | None:
        if defects:
            return f"{defects} files could not be handled, a defect of ours: the log has it; they are tried again"
        return f"{odd_names} names in the folder are no plain files and are not taken" if odd_names else None

    async def _take(self, found: Found) -> None:
        outcome = await self._outcome(found)
        if outcome is None:
            log.warning("order_file_changed", link=self._link.link_id)
            return
        reasons = _reasons_file(self._link, outcome) if outcome.reasons else None
        await self._off_loop(self._folder.finish, found, outcome.digest, reasons)
        for name, count in (("kept", outcome.kept), ("refused", len(outcome.reasons))):
            ORDER_SOURCE_ITEMS.labels(self._link.link_id, name).inc(count)
        log.info(
            "order_file_taken",
            link=self._link.link_id,
            digest=outcome.digest[:16],
            kept=outcome.kept,
            refused=len(outcome.reasons),
        )

    async def _outcome(self, found: Found) -> Outcome | None:
        """Judge the file whole, then keep its rows; None when it is another in the end than it was in the beginning."""
        try:
            file = await self._off_loop(open_found, found)
            try:
                outcome = await self._read(file, found.look.size)
            finally:
                await self._off_loop(file.close)
        except FileMoved:
            return None
        return outcome if await self._off_loop(still_is, found) else None

    async def _read(self, file: BufferedReader, size: int) -> Outcome:
        outcome = Outcome(digest=await self._off_loop(digest_of, file))
        try:
            await self._off_loop(judge, file, self._link, size)
            await self._keep_rows(file, outcome)
        except FileRefused as refused:
            reason = words.said(refused.sentence, self._link.language, refused.values)
            outcome.reasons.append((refused.line, str(refused.values.get("column", "")), reason))
        if await self._off_loop(digest_of, file) != outcome.digest:
            raise FileMoved
        return outcome

    async def _keep_rows(self, file: BufferedReader, outcome: Outcome) -> None:
        rows = _rows(file, self._link)
        while chunk := await self._off_loop(lambda: list(islice(rows, ROWS_AT_ONCE))):
            begun = [asyncio.ensure_future(self._keep_row(row, outcome)) for row in chunk]
            try:
                await asyncio.gather(*begun)
            finally:
                await asyncio.gather(*begun, return_exceptions=True)  # none goes on when the round has ended

    async def _keep_row(self, row: Row, outcome: Outcome) -> None:
        try:
            await self._keep(
                self._reading.statement(row),
                row.raw,
                form=OrderForm(self._link.format),
                media_type=MEDIA_TYPES[self._link.format],
                link_id=self._link.link_id,
                message_id=f"{outcome.digest}:{row.number}",
            )
        except RowRefused as refused:
            self._refuse(row, refused.fault, outcome)
        except Malformed:
            self._refuse(row, Fault("value_not_allowed"), outcome)
        else:
            outcome.kept += 1

    def _refuse(self, row: Row, fault: Fault, outcome: Outcome) -> None:
        outcome.reasons.append((row.line, fault.column, words.said(fault.sentence, self._link.language, fault.values)))

    async def _off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def judge(file: BufferedReader, link: FolderLink, size: int) -> None:
    """Read a file to its end, or raise `FileRefused`: no row of it is taken unless all of it can be read."""
    if size > link.maximum_file_bytes:
        raise FileRefused("too_large", limit=link.maximum_file_bytes)
    count = sum(1 for _ in islice(_rows(file, link), link.maximum_rows + 1))
    if count > link.maximum_rows:
        raise FileRefused("too_many_rows", limit=link.maximum_rows)
    if not count:
        raise FileRefused("no_rows")


def digest_of(file: BufferedReader) -> str:
    """Return the digest of all of the file, a block at a time."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def read_rows(file: BufferedReader, link: FolderLink, reading: Reading) -> Iterator[tuple[Row, OrderStatement | Fault]]:
    """Yield each row with what it says, or with why it can't be taken; for who only looks."""
    for row in _rows(file, link):
        try:
            yield row, reading.statement(row)
        except RowRefused as refused:
            yield row, refused.fault


def _rows(file: BufferedReader, link: FolderLink) -> Iterator[Row]:
    file.seek(0)
    return csv_rows(file, link.csv_form()) if link.format == "csv" else xml_rows(file, link.xml_form())


def _reasons_file(link: FolderLink, outcome: Outcome) -> list[bytes]:
    """Write the reasons as CSV with a byte order mark, by which spreadsheets know that it is UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=link.separator if link.format == "csv" else ",")
    writer.writerow(words.HEADINGS[link.language])
    writer.writerows(sorted(outcome.reasons))
    return [text.getvalue().encode("utf-8-sig")]
