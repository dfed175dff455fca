"""`overread desk`: orders and images that could not be settled by themselves, why, and what a person decides."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, cast

import asyncpg

from overread.assembly import desk_store
from overread.assembly.desk_store import DOUBT, KINDS, NO_IMAGES, NO_ORDER, Entry
from overread.cli import desk_deciding, hospital_time, options
from overread.contracts.errors import Unavailable
from overread.embedded.endpoints import Endpoints
from overread.runtime.clock import utc_now
from overread.runtime.database import away_as_unavailable

if TYPE_CHECKING:
    from overread.runtime.database import Connection

MOST = 1000
"""More of one kind are not listed."""

_COUNTED = {
    NO_ORDER: ("study without an order", "studies without an order"),
    NO_IMAGES: ("order without images", "orders without images"),
}


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "desk",
        help="list orders and images that a person must decide about, and decide",
        description="An order whose numbers and patient do not agree with a study, a series that names another patient, "
        "an image that came twice with different content, a merge that waits or can't be, a number that looks wrong: "
        "each with its case, if it has one, and its reason, none with the patient. "
        "What settles itself, as an order that is corrected, is listed no more.",
    )
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="{list,show,attach,detach,keep-apart,dismiss,undo}"
    )
    desk_deciding.add_to(actions)
    listing = actions.add_parser("list", help="what it is, its id or UID, its case, the reason")
    listing.add_argument(
        "--kind",
        choices=KINDS,
        default=DOUBT,
        help="doubt: what is to decide (default); no_order: studies without an order, each with its case; no_images: "
        "orders without images, each with its id",
    )
    options.add_data(listing)
    listing.set_defaults(run=run_list)


def run_list(told: argparse.Namespace) -> int:
    """Print everything of one kind, a line each; where nothing is to decide, what else lies there."""
    entries = asyncio.run(_entries(Endpoints.of(told.data)))
    for entry in entries[told.kind]:
        said = entry.reason or hospital_time.said(entry.raised_at.isoformat(), "minutes")
        sys.stdout.write(f"{entry.kind}  {entry.subject}  case {entry.case_id or '-'}  {said}\n")
    if not entries[told.kind]:
        others = ", ".join(_count(kind, len(entries[kind])) for kind in _COUNTED)
        sys.stderr.write(f"nothing to decide; {others}\n" if told.kind == DOUBT else "none\n")
    return 0


def _count(kind: str, number: int) -> str:
    one, more = _COUNTED[kind]
    where = f" (desk list --kind {kind})" if number else ""
    return f"{number}{' or more' if number == MOST else ''} {one if number == 1 else more}{where}"


async def _entries(endpoints: Endpoints) -> dict[str, list[Entry]]:
    try:
        connection = await asyncpg.connect(endpoints.dsn("assembly"), timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    try:
        async with away_as_unavailable():
            return {kind: await _of_kind(cast("Connection", connection), endpoints.site_id, kind) for kind in KINDS}
    finally:
        await connection.close()


async def _of_kind(connection: "Connection", site_id: str, kind: str) -> list[Entry]:
    return await desk_store.entries(connection, site_id, kind, after=None, now=utc_now(), limit=MOST)
