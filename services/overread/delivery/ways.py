"""How the way to each destination is, for operators: answered on delivery's own socket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from overread.delivery import operator_store
from overread.delivery.destinations import Destination
from overread.runtime.database import away_as_unavailable
from overread.runtime.service import Service

PATH = "/destinations"
"""On the health socket of the service named `delivery`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the way to one destination is: `state` is the breaker's (closed, half_open, open), empty before its first try.

    `open` messages are not acknowledged yet, the `oldest` since then, `held` ones of them wait for an operator; `reason` is
    the last failure's.
    """

    destination: str
    kind: str
    address: str
    state: str
    failures: int
    since: datetime | None
    reason: str
    open: int
    held: int
    oldest: datetime | None


async def ways(service: Service, destinations: Sequence[Destination]) -> list[Way]:
    """Return how the way to each destination of the list is now, in the order of the list."""
    sites = {destination.site_id or "" for destination in destinations}
    async with away_as_unavailable(), service.pool.acquire() as connection:
        found = {
            (site, row["destination"]): row for site in sites for row in await operator_store.ways(connection, site)
        }
    return [
        _way(destination, found.get((destination.site_id or "", destination.name), {})) for destination in destinations
    ]


def _way(destination: Destination, row: Mapping[str, Any]) -> Way:
    return Way(
        destination=destination.name,
        kind=destination.kind,
        address=_address(destination),
        state=row.get("state", ""),
        failures=row.get("failures", 0),
        since=row.get("since"),
        reason=row.get("reason", ""),
        open=row.get("open", 0),
        held=row.get("held", 0),
        oldest=row.get("oldest"),
    )


def _address(destination: Destination) -> str:
    """Return host and port, or the folder: never the whole address of a server."""
    parts = destination.parts
    return f"{destination.host}:{parts.port}" if parts.port else destination.host or parts.path
