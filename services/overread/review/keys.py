"""Clinicians' keys and the site CA that certifies them: made when first needed, encrypted at rest."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from overread.contracts.errors import OverreadError
from overread.review import key_store
from overread.runtime.signatures import Certified, certify_clinician, make_site_ca
from overread.runtime.synced_files import READABLE, make_folder, write_once
from overread.runtime.telemetry import log

if TYPE_CHECKING:
    from overread.runtime.database import Connection

RENEW_BEFORE = timedelta(days=30)


class SiteCAMissing(OverreadError):
    """The site's certificate authority was not made yet: wait until the service is ready."""


class KeyChain:
    """The keys of one site. `password` opens them; it is a setting and never stored."""

    def __init__(self, site_id: str, password: bytes) -> None:
        self._site_id = site_id
        self.password = password

    async def ensure_site_ca(self, connection: "Connection", *, now: datetime) -> Certified:
        """Return the site CA; the first caller makes it, whatever else starts at the same time."""
        if (known := await key_store.site_ca(connection, self._site_id)) is not None:
            return known
        made = make_site_ca(self._site_id, now=now, password=self.password)
        await key_store.save_site_ca(connection, self._site_id, made, now=now)
        return await self._site_ca(connection)

    async def key_of(self, connection: "Connection", subject: str, *, now: datetime) -> Certified:
        """Return the clinician's key; it is made at the first signing, and anew before its certificate ends."""
        known = await key_store.clinician_key(connection, self._site_id, subject, valid_beyond=now + RENEW_BEFORE)
        if known is not None:
            return known
        ca = await self._site_ca(connection)
        made = certify_clinician(ca, subject, self._site_id, now=now, password=self.password)
        not_after = x509.load_pem_x509_certificate(made.certificate_pem).not_valid_after_utc
        await key_store.save_clinician_key(connection, self._site_id, subject, made, now=now, not_after=not_after)
        return made

    async def _site_ca(self, connection: "Connection") -> Certified:
        ca = await key_store.site_ca(connection, self._site_id)
        if ca is None:
            raise SiteCAMissing
        return ca


def publish_root(ca: Certified, path: Path) -> None:
    """Write the site CA's certificate for delivery, once: what stands at `path` already is never overwritten."""
    make_folder(path.parent)
    is_ours = write_once(path, ca.certificate_pem, mode=READABLE)
    if not is_ours and path.read_bytes() != ca.certificate_pem:
        log.error("site_ca_root_differs", path=str(path), advice="delivery will hold every report")
