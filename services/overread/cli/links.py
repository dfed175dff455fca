"""`overread links`: is the file of HL7 links sound, what does it open, and how are the links of the running stack."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from overread.cli import links_running, options
from overread.embedded.endpoints import Endpoints
from overread.hl7_intake import links
from overread.hl7_intake.link_faults import as_toml, of_setting
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.ports import contexts_of, ports_of
from overread.hl7_intake.settings import HL7IntakeSettings, Link

HEADINGS = ("link", "listens on", "connections from", "messages of", "otherwise")
OF_OTHER_COLUMNS = frozenset({"link_id", "port", "allowed_peers", "allowed_applications"})


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "links",
        help="check the file of HL7 links, and list them",
        description="Reads the file as the intake would, certificates too, and prints each link; exit 1 with what is "
        "wrong, where, and what to write instead. A running intake follows its file within seconds; how its links are "
        "now, whichever file it follows, says --running.",
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="default: OVERREAD_HL7_LINKS, else the one link")
    parser.add_argument("--settings", action="store_true", help="print what a link may be told, as a Markdown table")
    parser.add_argument("--running", action="store_true", help="say how each link of the running stack is now")
    parser.add_argument("--json", action="store_true", help="with --running: print one JSON object")
    options.add_data(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the links, how those of the running stack are, or all that one may be told."""
    if told.running:
        return run_running(told)
    lines = settings_table() if told.settings else links_table(told.file)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def run_running(told: argparse.Namespace) -> int:
    """Print how the links of the running stack are; 1 when its file can't be used."""
    view = links_running.view_of(Endpoints.of(told.data))
    lines = [json.dumps(view)] if told.json else links_running.lines_of(view)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if view["fault"] else 0


def links_table(file: Path | None) -> Iterator[str]:
    """Yield a line for each link of the file, and last how many there are."""
    settings = settings_of()
    if file is not None:
        settings = settings.model_copy(update={"hl7_links": file})
    found = links.load(settings)
    contexts_of(list(ports_of(settings, found)))
    yield from _aligned([HEADINGS, *(_row(link, settings) for link in found)])
    yield f"{len(found)} link{'' if len(found) == 1 else 's'}, {settings.hl7_links or 'without a file'}"


def settings_of() -> HL7IntakeSettings:
    """Return what the intake would be told; a wrong setting of the environment is one sentence."""
    try:
        return HL7IntakeSettings()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name, *inside = map(str, fault["loc"])
        place = f"OVERREAD_{name.upper()}" + "".join(f", {part}" for part in inside)
        raise LinksRefused(f"{place}: {of_setting(fault, inside[0] if inside else name)}") from error


def settings_table() -> Iterator[str]:
    """Yield the lines of a Markdown table: each setting of a link, its default, and what it means."""
    yield "| setting | default | means |"
    yield "| --- | --- | --- |"
    for name, field in Link.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_default(field.default)} | {meaning} |"


def _default(value: object) -> str:
    return "–" if value is None or value in ("", ()) else f"`{as_toml(value)}`"


def _row(link: Link, settings: HL7IntakeSettings) -> tuple[str, ...]:
    ports = (f"{port.number} TLS" if port.certificate else str(port.number) for port in ports_of(settings, [link]))
    otherwise = (
        f"{name} = {as_toml(value)}"
        for name, value in link.model_dump(exclude_defaults=True, exclude=set(OF_OTHER_COLUMNS)).items()
    )
    peers, applications = map(str, link.allowed_peers), link.allowed_applications
    return (link.link_id, ", ".join(ports), _or_all(peers), _or_all(applications), ", ".join(otherwise))


def _or_all(names: Iterable[str]) -> str:
    return ", ".join(names) or "all"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True))
        yield "  ".join((*cells, row[-1])).rstrip()
