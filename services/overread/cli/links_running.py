"""`overread links --running`: how each link of the running stack is, as its intake says, whatever a file here says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overread.cli.hospital_time import said
from overread.contracts.errors import Unavailable
from overread.embedded.endpoints import Endpoints
from overread.hl7_intake.link_view import PATH
from overread.runtime.health import answer_at

HEADINGS = ("link", "state", "listens on", "open", "1/5/60 min", "answers", "repeats", "last message", "last error")


def view_of(endpoints: Endpoints) -> Mapping[str, Any]:
    """Return what the running intake says of its links, or raise `Unavailable`."""
    view: Mapping[str, Any] | None = answer_at(endpoints.health_socket("hl7_intake"), PATH)
    if view is None:
        raise Unavailable("the HL7 intake does not answer: is the stack up? (./run up)")
    return view


def lines_of(view: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each link, then what is wrong, then which file it follows."""
    rows = [HEADINGS, *(_row(link) for link in view["links"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for link in view["links"]:
        if link.get("reason"):
            yield f"{link['link_id']}: {link['reason']}"
    yield f"follows {view['file'] or 'no file: the one link of the settings'}"
    if view["fault"]:
        yield f"the file can't be used, all is as before: {view['fault']}"


def _row(link: Mapping[str, Any]) -> Sequence[str]:
    if "messages" not in link:
        return (link["link_id"], link["state"], *("–" for _ in HEADINGS[2:]))
    rates = "/".join(str(count) for count in link["within_minutes"].values())
    answers = " ".join(f"{code} {count}" for code, count in link["answers"].items())
    ports = ", ".join(_port(port) for port in link["ports"])
    told = (rates, answers or "–", str(link["duplicates"]), said(link["last_message_at"]), _error(link))
    return (link["link_id"], link["state"], ports or "–", str(link["connections"]), *told)


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['number']}{' mutual TLS' if port['mutual'] else ' TLS' if port['tls'] else ''}"


def _error(link: Mapping[str, Any]) -> str:
    error = link["last_error"]
    if error is None:
        return "–"
    place = f" at {error['place']}" if error["place"] else ""
    return f"{said(error['at'])} {error['code']} {error['condition']}{place}: {error['sentence']}"
