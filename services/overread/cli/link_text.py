"""A link's table as text, and its place in a file of links: before the first link that would take all of it."""

from collections.abc import Mapping
from typing import Any

from overread.hl7_intake import links
from overread.hl7_intake.link_faults import as_toml, line_of
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.settings import HL7IntakeSettings

HEAD = "# The first link that lets address and sender in takes a message; a running intake follows this file.\n"


def table_of(told: Mapping[str, Any]) -> str:
    """Write one link as TOML."""
    lines = (f"{name} = {as_toml(value)}\n" for name, value in told.items())
    return "[[link]]\n" + "".join(lines)


def with_link(text: str, told: Mapping[str, Any], settings: HL7IntakeSettings) -> str:
    """Return the file's text with this link in it, or raise `LinksRefused` for why it can't be.

    At the end, unless a link before it would leave it nothing; then before the last one that lets it be.
    """
    table = table_of(told)
    if not text.strip():
        return _sound(f"{HEAD}\n{table}", settings)
    at_the_end = f"{text.rstrip()}\n\n{table}"
    try:
        return _sound(at_the_end, settings)
    except LinksRefused as refused:
        for number in reversed(range(text.count("[[link]]"))):
            if (earlier := _before(text, table, number, settings)) is not None:
                return earlier
        raise refused from None


def _before(text: str, table: str, number: int, settings: HL7IntakeSettings) -> str | None:
    """Put the table before link `number` and the remarks above it; None where that is no sound file either."""
    line = line_of(text, number)
    if line is None:
        return None
    lines = text.splitlines(keepends=True)
    at = line - 1
    while at > 0 and lines[at - 1].startswith("#") and lines[at - 1] != HEAD:
        at -= 1
    try:
        return _sound("".join((*lines[:at], table, "\n", *lines[at:])), settings)
    except LinksRefused:
        return None


def _sound(text: str, settings: HL7IntakeSettings) -> str:
    links.parse(text, settings)
    return text
