"""`overread orders`: the links that orders are fetched from, tried out before anything depends on them."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from overread.cli import options
from overread.cli.order_lines import item_lines, row_lines, state_lines
from overread.contracts.errors import OverreadError
from overread.embedded.endpoints import Endpoints
from overread.order_intake import sources, words
from overread.order_intake.folder_rounds import judge, read_rows
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.source_watch import SOURCES
from overread.order_intake.sources import Source
from overread.order_intake.worklist_orders import ListedOrder, orders_of
from overread.order_intake.worklist_query import Worklist, WorklistQuery
from overread.order_intake.worklist_rounds import questions, together
from overread.order_intake.worklist_settings import WorklistLink
from overread.protocols.dicom.modality_worklist import Question
from overread.protocols.tables.rows import Fault, FileRefused
from overread.runtime.clock import utc_now
from overread.runtime.health import answer_at

K = TypeVar("K", FolderLink, WorklistLink)

EXAMPLES = """\
a new folder or RIS, in this order:
  overread orders links --links orders.toml                     is the file of links sound
  overread orders try --links orders.toml --link his-csv FILE   how each row of a sample would be read; nothing is sent
  overread orders worklist --links orders.toml --link ris       asks the RIS once, and shows what it lists
  overread orders links --running                               how each link of the running stack is
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "orders",
        help="try out folders of CSV or XML and worklists that orders are fetched from",
        description="Orders that do not come as HL7 v2. Nothing is kept by these commands; patient data is hidden "
        "unless you ask for it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_links(actions)
    _add_try(actions)
    _add_worklist(actions)


def _add_links(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser("links", help="check the file of links and list them")
    _add_file(parser)
    parser.add_argument("--running", action="store_true", help="how each link of the running stack is")
    options.add_data(parser)
    parser.set_defaults(run=run_links)


def _add_try(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "try",
        help="show how each row of a file would be read",
        description="Reads FILE as the link's folder would, and says of each row what order it is or why it would go "
        "back. Nothing is sent, kept or moved. Ends with 0 when every row would be taken, else with 1.",
    )
    parser.add_argument("sample", metavar="FILE", type=Path, help="a file as the sender drops it")
    _add_named(parser)
    parser.set_defaults(run=run_try)


def _add_worklist(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "worklist",
        help="ask a RIS for its worklist once, and show it",
        description="Asks as the link would (C-FIND), and says of each item what order it is or why it can't be taken. "
        "Nothing is kept. Ends with 0 when every item could be taken, else with 1.",
    )
    _add_named(parser)
    parser.set_defaults(run=run_worklist)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--links", type=Path, metavar="FILE", help="the file of links (default: OVERREAD_ORDER_LINKS)")


def _add_named(parser: argparse.ArgumentParser) -> None:
    _add_file(parser)
    parser.add_argument("--link", metavar="ID", help="which link (default: the only one of its kind)")
    parser.add_argument("--show-patient", action="store_true", help="show names, numbers, dates and questions too")


def run_links(told: argparse.Namespace) -> int:
    """Print the links of the file, or how those of the running stack are."""
    if told.running:
        view = answer_at(Endpoints.of(told.data).health_socket("order_intake"), SOURCES)
        if view is None:
            raise OverreadError("the order intake has no links, or does not answer: overread status says which")
        sys.stdout.writelines(f"{line}\n" for line in state_lines(view))
        return 0
    found = _load(told.links)
    for source in found:
        where = source.folder if isinstance(source, FolderLink) else f"{source.called_ae_title}@{source.host}"
        kind = source.format if isinstance(source, FolderLink) else "worklist"
        sys.stdout.write(f"{source.link_id:20} {kind:9} {where}\n")
    sys.stdout.write(f"{len(found)} link{'' if len(found) == 1 else 's'}\n")
    return 0


def run_try(told: argparse.Namespace) -> int:
    """Print how each row would be read; 1 when one would go back."""
    link = _folder(_load(told.links), told.link)
    with told.sample.open("rb") as file:
        try:
            judge(file, link, told.sample.stat().st_size)
        except FileRefused as refused:
            reason = words.said(refused.sentence, link.language, refused.values)
            sys.stdout.write(f"line {refused.line}: {reason}\nthe whole file would go back\n")
            return 1
        taken = refusals = 0
        for row, read in read_rows(file, link, link.reading(OrderIntakeSettings().time_zone)):
            taken, refusals = taken + (not isinstance(read, Fault)), refusals + isinstance(read, Fault)
            lines = row_lines(row, read, link.language, shows_patient=told.show_patient)
            sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.write(f"{taken} would be taken, {refusals} would go back with a reason\n")
    return 1 if refusals else 0


def run_worklist(told: argparse.Namespace) -> int:
    """Print what the RIS lists; 1 when an item can't be taken."""
    settings = OrderIntakeSettings()
    link = _worklist(_load(told.links), told.link)
    today = utc_now().astimezone(settings.time_zone).date()
    worklist = asyncio.run(_asked(link, [*questions(link, today)]))
    found = list(orders_of(worklist.items, link, settings.time_zone))
    for one in found:
        sys.stdout.writelines(f"{line}\n" for line in item_lines(one, shows_patient=told.show_patient))
    unusable = sum(not isinstance(one, ListedOrder) for one in found) + worklist.undecodable
    whole = "" if worklist.is_complete else "; the answer was cut off by maximum_items or question_seconds"
    sys.stdout.write(f"{len(worklist.items)} items, {len(found)} orders, {unusable} can't be taken{whole}\n")
    return 1 if unusable else 0


async def _asked(link: WorklistLink, asked: list[Question]) -> Worklist:
    query = WorklistQuery(link)
    try:
        return together([await query.ask(question) for question in asked])
    finally:
        query.close()


def _load(file: Path | None) -> tuple[Source, ...]:
    named = file or OrderIntakeSettings().order_links
    if named is None:
        raise OverreadError("name the file of links: --links FILE, or OVERREAD_ORDER_LINKS")
    return sources.load(named)


def _folder(found: tuple[Source, ...], link_id: str | None) -> FolderLink:
    return _chosen((source for source in found if isinstance(source, FolderLink)), link_id, "folder")


def _worklist(found: tuple[Source, ...], link_id: str | None) -> WorklistLink:
    return _chosen((source for source in found if isinstance(source, WorklistLink)), link_id, "worklist")


def _chosen(of_kind: Iterator[K], link_id: str | None, kind: str) -> K:
    fitting = [source for source in of_kind if link_id in (None, source.link_id)]
    if len(fitting) == 1:
        return fitting[0]
    raise OverreadError(
        f"there is no {kind} {link_id or ''} in the file" if not fitting else f"name the {kind}: --link ID"
    )
