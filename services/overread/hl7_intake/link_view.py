"""How each link is at this moment, as an operator is shown it: ports, state, rates, answers, the last error. No values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from overread.hl7_intake.open_link import OpenLink
from overread.hl7_intake.ports import Port
from overread.hl7_intake.reception import Reception

LISTENING, REFUSING, DRAINING, REFUSED = "listening", "refusing", "draining", "refused"
"""Taking messages; open, but nothing new is taken; closed, its last connections end; not as its file says, which is wrong."""

RATE_MINUTES = (1, 5, 60)
PATH = "/links"
"""Where the intake's own socket answers it."""

_NAMED = re.compile(r"\blink ([a-z0-9][a-z0-9-]{0,31}), ")
"""How a fault names the link that it is about: `link NAME, field: …`."""


def links_view(reception: Reception, file: Path | None, fault: str | None, now: datetime) -> Mapping[str, Any]:
    """Return every link with its state; `fault` is why the file can't be used, and then it names the link it is about."""
    return {
        "at": now,
        "file": None if file is None else str(file),
        "fault": fault,
        "links": list(_rows(reception, fault, now)),
    }


def _rows(reception: Reception, fault: str | None, now: datetime) -> Iterator[Mapping[str, Any]]:
    found = _NAMED.search(fault or "")
    named = found[1] if found else None
    for link_id, at in reception.open_links.items():
        state, reason = _state(at, fault if link_id == named else None)
        yield _row(at, state, reason, reception.ports_of(link_id), now)
    for at in reception.draining.values():
        yield _row(at, DRAINING, "the file names it no more", (), now)
    if named and named not in reception.open_links:
        yield {"link_id": named, "state": REFUSED, "reason": fault, "ports": []}


def _state(at: OpenLink, fault: str | None) -> tuple[str, str | None]:
    if at.intake.refuses_because is not None:
        return REFUSING, at.intake.refuses_because
    return (REFUSED, f"{fault}; it goes on as it was") if fault else (LISTENING, None)


def _row(at: OpenLink, state: str, reason: str | None, ports: Sequence[Port], now: datetime) -> Mapping[str, Any]:
    tally = at.intake.tally
    return {
        "link_id": at.link.link_id,
        "state": state,
        "reason": reason,
        "ports": [_port(port) for port in ports],
        "connections": len(at.connections),
        "maximum_connections": at.link.maximum_connections,
        "messages": tally.messages,
        "bytes": tally.bytes,
        "within_minutes": {str(minutes): tally.within(minutes, now) for minutes in RATE_MINUTES},
        "answers": dict(sorted(tally.answers.items())),
        "duplicates": tally.duplicates,
        "refused": tally.refused,
        "last_message_at": tally.last_message_at,
        "last_error": None if tally.last_error is None else asdict(tally.last_error),
    }


def _port(port: Port) -> Mapping[str, Any]:
    return {"number": port.number, "tls": port.certificate is not None, "mutual": port.client_ca is not None}
