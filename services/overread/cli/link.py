"""`overread link add`: asks what a new HL7 link needs to know, checks each answer, and writes the file of links whole."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from overread.cli.link_questions import QUESTIONS, Question, Told, WrongAnswer, answered, is_due
from overread.cli.link_sheet import sheet
from overread.cli.link_text import table_of, with_link
from overread.cli.links import settings_of
from overread.contracts.errors import OverreadError
from overread.hl7_intake.links import parse
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.runtime.synced_files import replace_text

EXAMPLES = """\
examples:
  overread link add                                     asks; each question has a usual answer, Enter takes it
  overread link add --name his-bvx --port 2581 --applications 'HIS|BVX' --yes      asks nothing
  overread link add --name ris-old --applications RIS --charset TCVN3 --acks aa --dry-run

What an option says is not asked. Ctrl-C ends without writing. The file is replaced whole, and a running intake follows it.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its action."""
    parser = subparsers.add_parser("link", help="add an HL7 link to the file of links")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser(
        "add",
        help="ask what a new link needs, check it, write it",
        description="Asks for the name of a link, its port, who may use it and what its sender is used to; says what "
        "each means, checks each answer at once against the other links, writes the file, and says how the sender is "
        "to be set up.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument(
        "--file", type=Path, metavar="FILE", help="the file of links (default: OVERREAD_HL7_LINKS, else links.toml)"
    )
    for question in QUESTIONS:
        usual = f"; usual: {question.usual}" if question.usual else ""
        add.add_argument(f"--{question.option}", metavar="X", help=f"{question.asks}{usual}")
    add.add_argument("--yes", action="store_true", help="ask nothing: the usual answer where no option says another")
    add.add_argument("--dry-run", action="store_true", help="write nothing; print what would be written")
    add.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Ask, write, and say what comes next."""
    settings = _settings(told.file)
    file = settings.hl7_links or Path("links.toml")
    text = _text_of(file, settings)
    link = _asked(told, text, settings)
    whole = with_link(text, link, settings)
    _say("", table_of(link).rstrip(), "")
    if told.dry_run:
        _say(f"nothing was written; {file} would have {whole.count('[[link]]')} links")
    elif told.yes or _is_confirmed(file):
        replace_text(file, whole)
        _say(
            f"written: {file}", "", *sheet(Link.model_validate(link), settings), "", *_next_steps(link, file, settings)
        )
    else:
        _say("nothing was written")
    return 0


def _settings(file: Path | None) -> HL7IntakeSettings:
    settings = settings_of()
    return settings.model_copy(update={"hl7_links": file or settings.hl7_links or Path("links.toml")})


def _text_of(file: Path, settings: HL7IntakeSettings) -> str:
    """Return what the file says, nothing where there is none yet; a wrong one is refused before anything is asked."""
    if not file.exists():
        return ""
    text = file.read_text(encoding="utf-8-sig")
    if text.strip():
        parse(text, settings)
    return text


def _asked(told: argparse.Namespace, text: str, settings: HL7IntakeSettings) -> Told:
    link: Told = {}
    for question in QUESTIONS:
        given = getattr(told, question.option.replace("-", "_"))
        if given is None and not is_due(question, link, text, settings):
            continue
        if given is None and told.yes:
            given = question.usual
        link = (
            _by_option(question, given, link, text, settings)
            if given is not None
            else _by_asking(question, link, text, settings)
        )
    return link


def _by_option(question: Question, given: str, link: Told, text: str, settings: HL7IntakeSettings) -> Told:
    if not given:
        raise OverreadError(f"a link needs a name: --{question.option} his-bvx")
    try:
        return answered(question, given, link, text, settings)
    except WrongAnswer as wrong:
        raise OverreadError(f"--{question.option}: {wrong}") from None


def _by_asking(question: Question, link: Told, text: str, settings: HL7IntakeSettings) -> Told:
    _say("", f"{question.asks}", f"  ({question.means})")
    while True:
        answer = _read(f"  {question.option}{f' [{question.usual}]' if question.usual else ''}: ") or question.usual
        try:
            return answered(question, answer, link, text, settings)
        except WrongAnswer as wrong:
            _say(f"  {wrong}")


def _is_confirmed(file: Path) -> bool:
    return _read(f"write it to {file}? [yes]: ").lower() in {"", "y", "yes"}


def _read(prompt: str) -> str:
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise OverreadError("the answers ended before the questions did: nothing was written")
    return line.strip()


def _next_steps(link: Told, file: Path, settings: HL7IntakeSettings) -> Iterator[str]:
    yield "Next:"
    if os.environ.get("OVERREAD_HL7_LINKS") is None:
        yield f"- set OVERREAD_HL7_LINKS={file.resolve()} for the intake; from then on the links of this file are all there are"
    if settings.mllp_host.startswith("127."):
        yield "- set OVERREAD_MLLP_HOST=0.0.0.0 to let other machines in; until then only this one can connect"
    yield f"- overread links --file {file}"
    yield f"- overread hl7 explain --links {file} --link {link['link_id']} sample.hl7"


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
