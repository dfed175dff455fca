"""The audit record as a chain: each link's hash covers its record and the hash before it, so no byte changes unseen."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from overread.contracts.codec import json_bytes
from overread.contracts.envelope import Event
from overread.contracts.events.audit import Recorded

GENESIS = "0" * 64
"""The hash before the first link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is chained: one audit event of a site, as the bytes that are hashed and kept."""

    site_id: str
    event_id: UUID
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One row of a site's chain."""

    site_id: str
    position: int
    event_id: UUID
    record: bytes
    previous_hash: str
    hash: str


def record_of(event: Event[Recorded]) -> Record:
    """Return the event as it is chained: sorted JSON of all that it says, and who said it when."""
    said = {
        "id": str(event.id),
        "source": event.source,
        "time": event.time.isoformat(),
        "site_id": event.site_id,
        "caused_by": str(event.caused_by) if event.caused_by else None,
        "traceparent": event.traceparent,
        "data": event.data.model_dump(mode="json"),
    }
    return Record(site_id=event.site_id, event_id=event.id, content=json_bytes(said))


def link(previous: Link | None, record: Record) -> Link:
    """Return the link that follows `previous`."""
    position = previous.position + 1 if previous else 1
    previous_hash = previous.hash if previous else GENESIS
    return Link(
        site_id=record.site_id,
        position=position,
        event_id=record.event_id,
        record=record.content,
        previous_hash=previous_hash,
        hash=_hash(record.site_id, position, record.event_id, record.content, previous_hash),
    )


def verify(links: Iterable[Link]) -> Link | None:
    """Return the first link of a site's chain that does not hold, None when all do.

    Rows cut off at the end can't be seen from the chain alone: keep the newest hash elsewhere, and compare it.
    """
    chain = Chain()
    return next((each for each in links if not chain.takes(each)), None)


class Chain:
    """A chain as it is read, link by link."""

    def __init__(self) -> None:
        self._last: Link | None = None

    def takes(self, each: Link) -> bool:
        """Say whether `each` follows the link before it."""
        if not _follows(self._last, each):
            return False
        self._last = each
        return True


def _follows(previous: Link | None, each: Link) -> bool:
    if previous is not None and each.site_id != previous.site_id:
        return False
    expected = link(previous, Record(site_id=each.site_id, event_id=each.event_id, content=each.record))
    return each == expected


def _hash(site_id: str, position: int, event_id: UUID, content: bytes, previous_hash: str) -> str:
    """Hash the parts with their lengths, so that no two different rows give the same bytes."""
    digest = hashlib.sha256()
    for part in (site_id.encode(), str(position).encode(), event_id.bytes, previous_hash.encode(), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
