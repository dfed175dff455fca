"""The file of links: `[[link]]` once for each, read and validated whole; a fault names file, link, field and remedy."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from overread.contracts.errors import OverreadError
from overread.hl7_intake.admission import covers
from overread.hl7_intake.settings import HL7IntakeSettings, Link


class LinksRefused(OverreadError):
    """The links can't be used as they are written; the sentence says where and what to write."""


class _LinkFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    link: tuple[Link, ...] = ()


def load(settings: HL7IntakeSettings) -> tuple[Link, ...]:
    """Return the links of the settings' file in its order; without a file the one link of the settings."""
    if settings.hl7_links is None:
        return (settings.mllp_link,)
    try:
        text = settings.hl7_links.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LinksRefused(f"{settings.hl7_links} can't be read: {type(error).__name__}") from error
    return parse(text, settings)


def parse(text: str, settings: HL7IntakeSettings) -> tuple[Link, ...]:
    """Return the links that `text` lists, or raise `LinksRefused` with the first rule it breaks."""
    file = settings.hl7_links or Path("links.toml")
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LinksRefused(f"{file} is not TOML: {error}") from error
    try:
        links = _LinkFile.model_validate(written).link
    except ValidationError as error:
        raise LinksRefused(f"{file}, {_faults(error, written)}") from error
    if fault := _contradiction(links, settings):
        raise LinksRefused(f"{file}, {fault}")
    return links


def _contradiction(links: Sequence[Link], settings: HL7IntakeSettings) -> str | None:
    """Return what two links, or a link and the settings, say against each other."""
    if not links:
        return 'link: there is none; write [[link]] and below it link_id = "his"'
    single = (fault for link in links if (fault := _taken_port(link, settings)))
    pairs = (fault for one, other in combinations(links, 2) if (fault := _clash(one, other)))
    return next(single, None) or next(pairs, None)


def _taken_port(link: Link, settings: HL7IntakeSettings) -> str | None:
    if link.port in (settings.mllp_port, settings.mllp_tls_port):
        return f"link {link.link_id}, port: {link.port} is a default port; leave the line out, or write another"
    return None


def _clash(one: Link, other: Link) -> str | None:
    if one.link_id == other.link_id:
        return f"link {one.link_id}, link_id: two links have it; write another name for one of them"
    if one.port != other.port:
        return None
    names = ("tls_certificate", "tls_key", "tls_client_ca")
    if differs := next((name for name in names if getattr(one, name) != getattr(other, name)), None):
        same = f"write the same as for link {one.link_id}, or another port"
        return f"link {other.link_id}, {differs}: both links have port {one.port}; {same}"
    if covers(one, other):
        narrower = f"write allowed_peers or allowed_applications for link {one.link_id}, or put it last"
        return f"link {other.link_id}, allowed_applications: link {one.link_id} before it takes all of it; {narrower}"
    return None


def _faults(error: ValidationError, written: Mapping[str, Any]) -> str:
    """Say the first fault in one sentence, and how many more there are."""
    faults = error.errors(include_url=False)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return _fault(faults[0], written) + more


def _fault(fault: Any, written: Mapping[str, Any]) -> str:
    place = [str(part) for part in fault["loc"]]
    if place[0] != "link":
        return f"{place[0]}: there is no such table; write [[link]]"
    if len(place) == 1:
        return "link: it is one table; write [[link]] with two brackets on each side"
    name, field = _named(written["link"][int(place[1])], int(place[1])), place[2] if len(place) > 2 else "link"
    if fault["type"] == "extra_forbidden":
        return f"{name}, {field}: there is no such setting; {_nearest(field)}"
    return f"{name}, {field}: {fault['msg'].removeprefix('Value error, ')}{_example(field)}"


def _named(table: object, number: int) -> str:
    link_id = table.get("link_id") if isinstance(table, Mapping) else None
    return f"link {link_id}" if isinstance(link_id, str) else f"link number {number + 1}"


def _nearest(field: str) -> str:
    names = list(Link.model_fields)
    near = [name for name in names if name.startswith(field)] or difflib.get_close_matches(field, names, 1)
    return f"write {near[0]}" if near else "leave it out (overread links --settings lists what there is)"


def _example(field: str) -> str:
    model = Link.model_fields.get(field)
    return f"; write for example {field} = {as_toml(model.examples[0])}" if model and model.examples else ""


def as_toml(value: object) -> str:
    """Write a setting's value as TOML has it: a text, a number, a boolean, or a list of these."""
    return json.dumps(sorted(value) if isinstance(value, frozenset) else value, ensure_ascii=False, default=str)
