"""`overread hl7 conformance`: the tables of the conformance statement, made from the code that does what they say."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from overread.cli.conformance_sent import sent
from overread.cli.conformance_taken import taken
from overread.contracts.errors import OverreadError
from overread.embedded.places import CHECKOUT
from overread.runtime.synced_files import replace_text

DOCUMENT = CHECKOUT / "docs" / "conformance-hl7.md"
BEGIN = "<!-- made by `overread hl7 conformance --into docs/conformance-hl7.md`; a test compares -->"
END = "<!-- end of what is made -->"

EXAMPLES = """\
examples:
  overread hl7 conformance                                   print the tables
  overread hl7 conformance --into docs/conformance-hl7.md    put them into the document, between its two marks
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "conformance",
        help="print what is taken, refused, answered and sent, as the code has it",
        description="Writes Markdown: messages, versions, fields, order controls, character sets, answers, refusals and "
        "the profiles of what is sent. Fields and refusals are found by asking the readers and rules themselves.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--into", type=Path, metavar="FILE", help="replace what stands between the marks of this file")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the tables, or put them into the document."""
    if told.into is None:
        sys.stdout.writelines(f"{line}\n" for line in tables())
    else:
        replace_text(told.into, with_tables(told.into.read_text(encoding="utf-8")))
    return 0


def tables() -> Iterator[str]:
    """Yield every line of what is made."""
    yield from taken()
    yield from sent()


def with_tables(document: str) -> str:
    """Return the document with the tables as they are now between its marks."""
    before, begun, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise OverreadError(f"the document has no marks; put these two lines where the tables belong:\n{BEGIN}\n{END}")
    made = "\n".join(tables())
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"
