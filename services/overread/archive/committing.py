"""Judges requests for commitment and tells their peers, on an association of our own where they have an address."""

import asyncio
import ssl
from datetime import datetime, timedelta
from typing import Final

from pynetdicom import AE, build_role
from pynetdicom.association import Association

from overread.archive import commitment_store, commitments
from overread.archive.commitment_store import CommitmentRow
from overread.archive.settings import ArchiveSettings
from overread.contracts.errors import Unavailable
from overread.contracts.topics import DICOM_RECEIVED
from overread.protocols.dicom import announced
from overread.protocols.dicom.sop_classes import (
    PLAIN_TRANSFER_SYNTAXES,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from overread.runtime.inbox import Transaction
from overread.runtime.service import Service
from overread.runtime.telemetry import log

TICK_SECONDS: Final = 0.2
TICKS_BETWEEN: Final = 18_000
"""An hour of ticks between two looks at what is old."""
AWAY_SECONDS: Final = 1.0
KEPT: Final = timedelta(days=90)
LOOK_AGAIN: Final = timedelta(seconds=1)
LEASE: Final = timedelta(minutes=2)
"""Longer than a report takes; a process that ends in the middle leaves it to the next after that."""
PEER_SECONDS: Final = 20.0


class Committer:
    """One report at a time; a peer that does not answer is asked again for a day."""

    def __init__(self, service: Service, settings: ArchiveSettings) -> None:
        self._service = service
        self._settings = settings

    async def run(self) -> None:
        """Judge and tell until cancelled; what is away is waited for."""
        while True:
            try:
                await self._forget()
                for _ in range(TICKS_BETWEEN):
                    await self.tick()
                    await asyncio.sleep(TICK_SECONDS)
            except Unavailable as away:
                log.warning("commitments_wait", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def _forget(self) -> None:
        async with self._service.transaction() as tx:
            await commitment_store.forget(tx, tx.clock() - KEPT)

    async def tick(self) -> None:
        """Judge what is due, then tell what is judged."""
        async with self._service.transaction() as tx:
            to_tell = [row for row in await commitment_store.due(tx, tx.clock()) if await self._is_to_tell(tx, row)]
        for row in to_tell:
            await self._tell(row)

    async def _is_to_tell(self, tx: Transaction, row: CommitmentRow) -> bool:
        """Judge a request that is not, and say whether its peer is to be told now; the lease keeps others off it."""
        if row.failed is None and not await self._judge(tx, row):
            return False
        await commitment_store.wait_until(tx, row, tx.clock() + LEASE)
        return not row.answer_here

    async def _judge(self, tx: Transaction, row: CommitmentRow) -> bool:
        held = await commitment_store.held_classes(tx, row.site_id, [one.sop_instance_uid for one in row.references])
        failed = commitments.judge(row.references, held)
        if not commitments.is_settled(failed, row.requested_at, tx.clock()):
            await commitment_store.wait_until(tx, row, tx.clock() + LOOK_AGAIN)
            return False
        await commitment_store.judged(tx, row, {one.reference.sop_instance_uid: one.reason for one in failed})
        await self._tell_studies(tx, row)
        log.info("commitment_judged", instances=len(row.references), failed=len(failed))
        return True

    async def _tell_studies(self, tx: Transaction, row: CommitmentRow) -> None:
        """Tell each study what its modality lists of it; of one that is alone in the list also what is not here."""
        listed = [one.sop_instance_uid for one in row.references]
        by_study = await commitment_store.by_study(tx, row.site_id, listed)
        for study_instance_uid, held in sorted(by_study.items()):
            for hint in commitments.hints(row, study_instance_uid, listed if len(by_study) == 1 else held):
                own_key = f"{hint.list_id}/{study_instance_uid}/{hint.part}"
                tx.publish(DICOM_RECEIVED, hint, subject="commitment", own_key=own_key, caused_by=row)

    async def _tell(self, row: CommitmentRow) -> None:
        async with self._service.transaction() as tx:
            told = await commitment_store.judged_now(tx, row)
        reason = await asyncio.to_thread(report, self._settings, told)
        async with self._service.transaction() as tx:
            if reason is None:
                await commitment_store.answered(tx, row)
                return
            log.warning("commitment_not_heard", attempts=row.attempts + 1, reason=reason)
            await commitment_store.not_heard(tx, row, reason, _next(row, tx.clock()))


def _next(row: CommitmentRow, now: datetime) -> datetime | None:
    at = now + commitments.next_try(row.attempts)
    return at if at < row.requested_at + commitments.LONGEST_TRY else None


def report(settings: ArchiveSettings, row: CommitmentRow) -> str | None:
    """Tell the peer by N-EVENT-REPORT what its request came to; return None once it answered 0x0000, else why not."""
    address = settings.dicom_peers.get(row.calling_ae_title)
    if address is None:
        return "the peer has no address here (OVERREAD_DICOM_PEERS)"
    try:
        association = _associate(settings, row.calling_ae_title, address)
    except OSError as error:
        return f"no connection: {type(error).__name__}"
    if not association.is_established:
        return "no association"
    try:
        return _sent(association, row)
    finally:
        association.release()


def _sent(association: Association, row: CommitmentRow) -> str | None:
    failed = row.failed or {}
    asked = announced.Commitment(transaction_uid=row.transaction_uid, references=row.references)
    try:
        status, _ = association.send_n_event_report(
            announced.commitment_report(asked, failed),
            announced.FAILURES_EXIST if failed else announced.ALL_COMMITTED,
            STORAGE_COMMITMENT_PUSH_MODEL,
            STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        )
    except (ValueError, RuntimeError):  # no context was accepted, or the association ended
        return "the peer takes no reports of storage commitment"
    code = status.get("Status")
    if code is None:
        return "the association ended without an answer"
    return None if code == 0x0000 else f"0x{code:04X}"


def _associate(settings: ArchiveSettings, called_ae_title: str, address: str) -> Association:
    host, _, port = address.rpartition(":")
    entity = AE(ae_title=settings.dicom_ae_title)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = PEER_SECONDS
    entity.add_requested_context(STORAGE_COMMITMENT_PUSH_MODEL, sorted(PLAIN_TRANSFER_SYNTAXES))
    return entity.associate(
        host,
        int(port),
        ae_title=called_ae_title,
        ext_neg=[build_role(STORAGE_COMMITMENT_PUSH_MODEL, scp_role=True)],
        tls_args=(_tls(settings), host) if settings.dicom_peers_tls_ca else None,
    )


def _tls(settings: ArchiveSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.dicom_peers_tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.dicom_peers_tls_certificate is not None:
        context.load_cert_chain(settings.dicom_peers_tls_certificate, settings.dicom_peers_tls_key)
    return context
