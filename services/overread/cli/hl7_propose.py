"""`overread hl7 propose`: what a recorded folder says about its sender, and the link that would fit."""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overread.cli.mapping_propose import to_be_filled_in
from overread.cli.recordings import recorded, recorded_answers
from overread.hl7_intake.settings import PROCESSING_IDS, Link
from overread.protocols.hl7.charset_guess import UNKNOWN
from overread.protocols.hl7.explain import printable
from overread.protocols.hl7.sentences import Language, translate
from overread.protocols.hl7.survey import Survey, survey
from overread.protocols.hl7.words import say

MOST_SERVICES = 40

_ON_THE_LINE = "answers_application_ack_on_the_line"
_TESTS = ("T", "D")

_PLAIN = re.compile(r"[0-9A-Za-z_.-]([0-9A-Za-z_. -]*[0-9A-Za-z_.-])?")
"""Names that a link can allow; a sender whose name is another is left for you to write."""

EXAMPLES = """\
examples:
  overread hl7 propose day/                    the folder that `overread hl7 record` filled
  overread hl7 propose day/ | grep -A 20 '^\\[\\[link'
  overread hl7 propose day/ --mapping codes.csv
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "propose",
        help="count what a recorded folder holds, and propose its link",
        description="Counts types, versions, senders, charsets declared and seen, answers asked for, codes in OBR-4, Z "
        "segments and reused control IDs, says where the accession number sits, and proposes a link as TOML. No value "
        "of a patient is shown.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", type=Path, metavar="FILE|FOLDER", help="recorded messages")
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="also write the codes of its orders to FILE, a mapping to fill in"
    )
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the table and the proposal."""
    print_proposal(told.place)
    if told.mapping:
        _write_mapping(told.place, told.mapping)
    return 0


def _write_mapping(place: Path, file: Path) -> None:
    """Write the codes that the recorded orders use, for `overread mapping import` once a person has filled them in."""
    link = link_of(survey((each.raw for each in recorded(place)), recorded_answers(place)))
    raws = (each.raw for each in recorded(place))
    content = to_be_filled_in(raws, link_id=link["link_id"], fallback_charset=link.get("fallback_charset", ""))
    file.write_text(content, encoding="utf-8-sig", newline="")
    sys.stderr.write(f"{file}: {content.count(chr(10)) - 1} codes to fill in (docs/mapping.md)\n")


def print_proposal(place: Path) -> None:
    """Print what the messages of a file or folder say."""
    seen = survey((each.raw for each in recorded(place)), recorded_answers(place))
    sys.stdout.writelines(f"{line}\n" for line in (*table(seen), "", *proposal(seen)))


def table(seen: Survey, language: Language = "en") -> Iterator[str]:
    """Yield the counts, a line each."""
    yield say(language, "{count} messages, the largest of {bytes} bytes", count=seen.total, bytes=seen.largest_bytes)
    for title, counts in _counts(seen, language):
        yield from _counted(say(language, title), counts, language)
    if len(seen.services) > MOST_SERVICES:
        yield f"  {'':36}{say(language, '… and {count} more codes', count=len(seen.services) - MOST_SERVICES)}"
    yield from _places(seen, language)


def _counts(seen: Survey, language: Language) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Yield what was counted, by title; a later one of the same name never hides an earlier one."""
    yield "sender (MSH-3, MSH-4)", {" | ".join(names): n for names, n in seen.senders.most_common()}
    yield "message type (MSH-9)", dict(seen.types.most_common())
    yield "version (MSH-12)", dict(seen.versions.most_common())
    yield "processing ID (MSH-11)", dict(seen.processing_ids.most_common())
    yield "charset (MSH-18)", {_charset(*found, language): n for found, n in seen.charsets.items()}
    yield "answers asked for (MSH-15, MSH-16)", {mode_in(language, m): n for m, n in seen.modes.most_common()}
    yield "answered in enhanced mode (MSA-1)", dict(seen.answered.most_common())
    yield "control IDs (MSH-10)", _control_ids(seen, language)
    yield "Z segments", dict(seen.z_segments.most_common())
    yield "let pass", {say(language, what): n for what, n in seen.leniencies.most_common()}
    yield "not readable as declared", {translate(what, language): n for what, n in seen.unreadable.most_common()}
    services = seen.services.most_common(MOST_SERVICES)
    yield "services (OBR-4)", {_service(*named, language): n for named, n in services}


def _charset(declared: str, codec: str, language: Language) -> str:
    said = declared or say(language, "(empty)")
    return say(language, "{declared}, the bytes are {codec}", declared=said, codec=codec)


def mode_in(language: Language, mode: tuple[str, str] | None) -> str:
    """Say how a sender wants to be answered: MSH-15 and MSH-16, or original mode."""
    if mode is None:
        return say(language, "original")
    accept, application = (value or say(language, "(empty)") for value in mode)
    template = "enhanced, MSH-15 {accept}, MSH-16 {application}"
    return say(language, template, accept=accept, application=application)


def _counted(title: str, counts: Mapping[str, int], language: Language) -> Iterator[str]:
    for number, (name, count) in enumerate(counts.items()):
        shown = printable(name, language) or say(language, "(empty)")
        yield f"  {'' if number else title:36}{count:7}  {shown}"


def _control_ids(seen: Survey, language: Language) -> Mapping[str, int]:
    told = {
        "the same message again": seen.repeats,
        "used again for another message": seen.reused_control_ids,
        "of these under another MSH-7": seen.reused_at_another_time,
    }
    return {say(language, name): count for name, count in told.items() if count}


def _service(code: str, text: str, system: str, language: Language) -> str:
    return " · ".join(part for part in (code or say(language, "(no code)"), text, system) if part)


def _places(seen: Survey, language: Language) -> Iterator[str]:
    best = seen.accession_place()
    for number, (place, at) in enumerate(sorted(seen.places.items())):
        mark = f"  {say(language, '<- the accession number')}" if place == best else ""
        title = "" if number else say(language, "could be an accession number")
        counts = {"place": place, "different": len(at.values), "orders": seen.orders}
        said = say(language, "{place}, {different} different, in {orders} orders", **counts)
        yield f"  {title:36}{at.filled:7}  {said}{mark}"


def proposal(seen: Survey) -> Iterator[str]:
    """Yield a link as TOML; what this version's links have no setting for stands there as a comment."""
    yield "# proposed by `overread hl7 propose`: read it, then put it into your links file"
    yield "[[link]]"
    for name, value in link_of(seen).items():
        mark = "" if name in Link.model_fields else "# "
        yield f"{mark}{name} = {_toml(value)}"
    yield from (f"# {line}" for line in doubts(seen))


def doubts(seen: Survey) -> Iterator[str]:
    """Yield what the day leaves open, for a person to decide."""
    tests = [name for name in _TESTS if seen.processing_ids[name]]
    if tests and not seen.processing_ids["P"]:
        came = " and ".join(tests)
        yield f"every message was a test (MSH-11 {came}): processing_ids is left out, so P, T and D are taken; with"
        yield 'processing_ids = ["P"] tests are refused once the sender is in use'
    if seen.asked_for_application and not _expects_application_acks(seen) and not seen.answered:
        asked = ", ".join(seen.asked_for_application)
        yield f"MSH-16 asks for an application answer ({asked}): by the standard it comes on a connection of its own."
        yield "If the sender's maker says that it waits for AA on its own line, write"
        yield f"{_ON_THE_LINE} = true"


def _expects_application_acks(seen: Survey) -> bool:
    return seen.has_application_acks_on_the_line or seen.waits_for_application_acks


def link_of(seen: Survey) -> Mapping[str, Any]:
    """Return the settings that fit what was seen; what the defaults say already is left out."""
    senders = [names for names, _ in seen.senders.most_common() if names[0] and _PLAIN.fullmatch("".join(names))]
    told: dict[str, Any] = {
        "link_id": _link_id(senders[0] if senders else ("sender", "")),
        "allowed_applications": ["|".join(part for part in names if part) for names in senders],
        "versions": sorted(filter(_PLAIN.fullmatch, seen.versions)),
        "processing_ids": _processing_ids(seen),
        "fallback_charset": _fallback(seen),
        _ON_THE_LINE: _expects_application_acks(seen),
        "maximum_frame_bytes": 2 * seen.largest_bytes if 2 * seen.largest_bytes > Link().maximum_frame_bytes else None,
        "accession_places": [place] if (place := seen.accession_place()) not in (None, "IPC-1", "OBR-18") else None,
    }
    if seen.reused_control_ids:
        is_by_time = seen.reused_at_another_time == seen.reused_control_ids
        told |= {"duplicate_key_has_message_datetime": True} if is_by_time else {"reused_control_id": "accept_and_warn"}
    return {name: value for name, value in told.items() if value}


def _processing_ids(seen: Survey) -> list[str]:
    """Return what came, if it came from real patients: a day of tests says nothing of what will come."""
    return sorted(PROCESSING_IDS & set(seen.processing_ids)) if seen.processing_ids["P"] else []


def _link_id(names: tuple[str, str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in names if part).lower()).strip("-")
    return plain[:32].strip("-") or "sender"


def _fallback(seen: Survey) -> str:
    """Return the charset for senders whose MSH-18 is empty or none, where all they sent is text in it."""
    silent = {codec for (declared, codec) in seen.charsets if declared.upper() in ("", "ASCII") and codec != "ascii"}
    return silent.pop() if len(silent) == 1 and UNKNOWN not in silent else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return (
        str(value) if isinstance(value, int) else '"' + printable(str(value)).replace("\\", "").replace('"', "") + '"'
    )
