"""`overread hl7 acceptance`: a link's acceptance protocol for print: what came, what was judged of it, who signs."""

import argparse
import sys
from pathlib import Path

from overread.cli.acceptance_findings import judge_all
from overread.cli.acceptance_page import page
from overread.cli.hl7_explain import add_link, links_of
from overread.cli.hl7_verdict import Judge
from overread.cli.recordings import recorded
from overread.contracts.errors import OverreadError
from overread.runtime.clock import utc_now
from overread.runtime.settings import ServiceSettings

EXAMPLES = """\
examples:
  overread hl7 acceptance day --out his.html                                  by a link's usual settings
  overread hl7 acceptance day --links links.toml --link his-bvx --out his.html
  overread hl7 acceptance day --language vi --out his.html                    in Vietnamese; fr: in French

Print it from a browser; both sides sign. Ends with 0 when every message would be taken, with 1 otherwise.
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "acceptance",
        help="make a link's acceptance protocol out of a recorded folder, for print and signature",
        description="Judges every recorded message by the link's own rules and writes one HTML page in the link's "
        "language: each message type with how many would be taken, each finding with its place, what to change and the "
        "control IDs of examples, how text was read and what was answered, the counts, the link's settings, what both "
        "sides try together, and lines for signatures. No patient is in it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", type=Path, metavar="FILE|FOLDER", help="recorded messages")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.html", help="the page; an older one is replaced"
    )
    add_link(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Write the page; 1 when a message would be refused."""
    link, *others = links_of(told)
    if others:
        raise OverreadError(f"{told.links} has {1 + len(others)} links: name the one that is to be accepted by --link")
    settings, now = ServiceSettings(), utc_now()
    messages = [each.raw for each in recorded(told.place)]
    judged = judge_all(messages, Judge(link, settings), now)
    try:
        told.out.write_text(page(messages, judged, link, settings, now), encoding="utf-8")
    except OSError as error:
        raise OverreadError(f"{told.out} can't be written: {error.strerror}; name another by --out") from error
    taken, came = judged.taken.total(), judged.came.total()
    sys.stdout.write(f"{taken} of {came} would be taken, {len(judged.findings)} findings: {told.out}\n")
    return 0 if judged.is_accepted else 1
