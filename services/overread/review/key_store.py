"""The SQL of `review`'s keys: the site's certificate authority, and the clinicians' keys it certified."""

from datetime import datetime
from typing import TYPE_CHECKING

from overread.runtime.signatures import Certified

if TYPE_CHECKING:
    from overread.runtime.database import Connection


async def site_ca(connection: "Connection", site_id: str) -> Certified | None:
    """Return the site's certificate authority."""
    row = await connection.fetchrow("SELECT private_key_pem, certificate_pem FROM site_ca WHERE site_id = $1", site_id)
    return Certified(row["private_key_pem"], row["certificate_pem"]) if row else None


async def save_site_ca(connection: "Connection", site_id: str, ca: Certified, *, now: datetime) -> None:
    """Keep a new certificate authority; the first one of a site stays."""
    await connection.execute(
        "INSERT INTO site_ca (site_id, private_key_pem, certificate_pem, made_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        site_id,
        ca.private_key_pem,
        ca.certificate_pem,
        now,
    )


async def clinician_key(
    connection: "Connection", site_id: str, subject: str, *, valid_beyond: datetime
) -> Certified | None:
    """Return the clinician's newest key whose certificate is valid beyond that time."""
    row = await connection.fetchrow(
        "SELECT private_key_pem, certificate_pem FROM clinician_keys"
        " WHERE site_id = $1 AND subject = $2 AND not_after > $3 ORDER BY made_at DESC LIMIT 1",
        site_id,
        subject,
        valid_beyond,
    )
    return Certified(row["private_key_pem"], row["certificate_pem"]) if row else None


async def save_clinician_key(
    connection: "Connection", site_id: str, subject: str, key: Certified, *, now: datetime, not_after: datetime
) -> None:
    """Keep a clinician's new key."""
    await connection.execute(
        "INSERT INTO clinician_keys (site_id, subject, made_at, not_after, private_key_pem, certificate_pem)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        site_id,
        subject,
        now,
        not_after,
        key.private_key_pem,
        key.certificate_pem,
    )
