"""The file of links: `[[link]]` once for each, read and validated whole; a fault names file, line, field and remedy."""

import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from overread.contracts.errors import OverreadError
from overread.hl7_intake import link_faults
from overread.hl7_intake.admission import covers
from overread.hl7_intake.neighbours import HIGHEST_PORT, neighbour_at
from overread.hl7_intake.settings import HL7IntakeSettings, Link


class LinksRefused(OverreadError):
    """The links can't be used as they are written; the sentence says where and what to write."""


class _LinkFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    link: tuple[Link, ...] = ()


class _Clash(NamedTuple):
    """What a link says against another, or against the settings."""

    link: Link
    field: str
    sentence: str


def load(settings: HL7IntakeSettings) -> tuple[Link, ...]:
    """Return the links of the settings' file in its order; without a file the one link of the settings."""
    if settings.hl7_links is None:
        return (settings.mllp_link,)
    return parse(_text_of(settings.hl7_links), settings)


def _text_of(file: Path) -> str:
    """Read the file; the mark that some editors put before a text in UTF-8 is no part of it."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fault = "there is no such file: mend its name, or make it by `overread link add`"
    except IsADirectoryError:
        fault = "it is a folder: name the file in it"
    except UnicodeDecodeError:
        fault = "it is not in UTF-8: save it as UTF-8 in your editor"
    except OSError as error:
        fault = f"it can't be read ({error.strerror}): who runs this must be allowed to read it"
    raise LinksRefused(f"{file}: {fault}")


def parse(text: str, settings: HL7IntakeSettings) -> tuple[Link, ...]:
    """Return the links that `text` lists, or raise `LinksRefused` with the first rule it breaks."""
    file = settings.hl7_links or Path("links.toml")
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LinksRefused(f"{file}, {link_faults.of_toml(text, str(error))}") from error
    try:
        links = _LinkFile.model_validate(written).link
    except ValidationError as error:
        raise LinksRefused(f"{file}, {link_faults.of_settings(error, written, text)}") from error
    if not links:
        raise LinksRefused(f'{file}, link: there is none; write [[link]] and below it link_id = "his"')
    if clash := _contradiction(links, settings):
        number = next(number for number, link in enumerate(links) if link is clash.link)
        line = link_faults.line_of(text, number, clash.field)
        fault = f"link {clash.link.link_id}, {clash.field}: {clash.sentence}"
        raise LinksRefused(f"{file}, {link_faults.placed(line, fault)}")
    return links


def _contradiction(links: Sequence[Link], settings: HL7IntakeSettings) -> _Clash | None:
    """Return what two links, or a link and the settings, say against each other."""
    single = (clash for link in links if (clash := _taken_port(link, settings)))
    pairs = (clash for one, other in combinations(links, 2) if (clash := _clash(one, other)))
    return next(single, None) or next(pairs, None)


def _taken_port(link: Link, settings: HL7IntakeSettings) -> _Clash | None:
    if link.port is None:
        return None
    if link.port in (settings.mllp_port, settings.mllp_tls_port):
        return _Clash(link, "port", f"{link.port} is a default port; leave the line out, or write another")
    if neighbour := neighbour_at(link.port, settings):
        return _Clash(link, "port", f"{link.port} is Overread's own port for {neighbour}; write another")
    if link.port + settings.port_offset > HIGHEST_PORT:
        shifted = f"with OVERREAD_PORT_OFFSET it is {link.port + settings.port_offset}, and there is none above"
        return _Clash(link, "port", f"{shifted} {HIGHEST_PORT}; write {HIGHEST_PORT - settings.port_offset} or less")
    return None


def _clash(one: Link, other: Link) -> _Clash | None:
    if one.link_id == other.link_id:
        return _Clash(other, "link_id", "two links have it; write another name for one of them")
    if one.port != other.port:
        return None
    names = ("tls_certificate", "tls_key", "tls_client_ca")
    if differs := next((name for name in names if getattr(one, name) != getattr(other, name)), None):
        same = f"write the same as for link {one.link_id}, or another port"
        return _Clash(other, differs, f"both links have port {one.port}; {same}")
    if covers(one, other):
        narrower = f"write allowed_peers or allowed_applications for link {one.link_id}, or put it last"
        return _Clash(other, "allowed_applications", f"link {one.link_id} before it takes all of it; {narrower}")
    return None
