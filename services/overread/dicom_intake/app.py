"""DICOM intake: takes instances by C-STORE, and answers 0x0000 when they are on synced disk."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from overread.archive.queries import ArchiveQueries
from overread.dicom_intake.announcements import PublishedAnnouncements
from overread.dicom_intake.find_scp import FindScp
from overread.dicom_intake.normalized_scp import NormalizedScp
from overread.dicom_intake.ports import PublishedEvents, SyncedInstances
from overread.dicom_intake.server import DicomServer
from overread.dicom_intake.settings import DicomIntakeSettings
from overread.dicom_intake.storage_scp import StorageScp
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service
from overread.runtime.telemetry import log
from overread.runtime.tls import server_context

GRACE_SECONDS = 4.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Services:
    """What the intake serves on an association."""

    storage: StorageScp
    normalized: NormalizedScp
    finds: FindScp | None


def make_service(settings: DicomIntakeSettings) -> Service:
    """Wire the intake; it owns no state and consumes nothing."""
    service = Service("dicom_intake", settings)
    objects = LocalObjectStore(settings.objects_folder, low_watermark_bytes=settings.least_free_bytes)
    events = PublishedEvents(
        settings.site_id, service.publisher, service.clock, bound=settings.dicom_outstanding_events
    )
    instances = SyncedInstances(settings.site_id, objects)
    storage = StorageScp(instances, events, service.clock, fallback_charset=settings.dicom_fallback_charset)
    archive = _archive(settings)
    services = Services(
        storage, _normalized(service, settings, events, objects, archive), _finds(settings, events, archive)
    )
    service.runs(events.run)
    service.serves(lambda: _listening(settings, services, events))
    service.health.register("object store", objects.ping)
    return service


def _archive(settings: DicomIntakeSettings) -> ArchiveQueries | None:
    dsn = settings.archive_dsn
    return ArchiveQueries(dsn.get_secret_value(), settings.site_id) if dsn else None


def _finds(settings: DicomIntakeSettings, events: PublishedEvents, archive: ArchiveQueries | None) -> FindScp | None:
    """Return the worklist; it names patients, so off this machine it is for peers that are listed."""
    if archive is None:
        return None
    if settings.dicom_calling_ae_titles is None and settings.dicom_host not in LOOPBACK:
        log.warning(
            "no_worklist", reason="OVERREAD_DICOM_CALLING_AE_TITLES lists nobody, and others than this machine may call"
        )
        return None
    return FindScp(archive, events, settings.time_zone, ascii_peers=settings.dicom_ascii_peers)


def _normalized(
    service: Service,
    settings: DicomIntakeSettings,
    events: PublishedEvents,
    objects: LocalObjectStore,
    archive: ArchiveQueries | None,
) -> NormalizedScp:
    announcements = PublishedAnnouncements(settings.site_id, events, objects, archive=archive)
    return NormalizedScp(announcements, service.clock, peers_with_address=frozenset(settings.dicom_peers))


@asynccontextmanager
async def _listening(settings: DicomIntakeSettings, services: Services, events: PublishedEvents) -> AsyncIterator[None]:
    events.tell_restart()
    tls = await asyncio.to_thread(
        server_context, settings.dicom_tls_certificate, settings.dicom_tls_key, settings.dicom_tls_client_ca
    )
    servers = [(_server(settings, services, None), settings.dicom_port)] if settings.dicom_plain_port_is_open else []
    if tls is not None:
        servers.append((_server(settings, services, tls), settings.dicom_tls_port))
    try:
        for server, port in servers:
            await server.start(settings.dicom_host, port + settings.port_offset)
            log.info("listening", port=port + settings.port_offset)
        yield
    finally:
        await asyncio.gather(*(server.stop(GRACE_SECONDS) for server, _ in servers))
        with suppress(TimeoutError):  # what is not told now is told again after the next start
            await asyncio.wait_for(events.flushed(), GRACE_SECONDS)


def _server(settings: DicomIntakeSettings, services: Services, tls: ssl.SSLContext | None) -> DicomServer:
    return DicomServer(
        settings.acceptor,
        services.storage,
        new_association_id=uuid4,
        limits=settings.limits,
        ssl_context=tls,
        normalized=services.normalized,
        finds=services.finds,
    )


def main() -> None:
    """Run the intake until it is told to stop."""
    make_service(DicomIntakeSettings()).run()
