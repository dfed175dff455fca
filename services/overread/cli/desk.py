"""`overread desk`: orders and images that could not be settled by themselves, why, and what a person decides."""

import argparse
import asyncio
import sys

import asyncpg

from overread.assembly import store
from overread.cli import desk_deciding, options
from overread.contracts.errors import Unavailable
from overread.embedded.endpoints import Endpoints
from overread.runtime.database import away_as_unavailable


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
    options.add_data(listing)
    listing.set_defaults(run=run_list)


def run_list(told: argparse.Namespace) -> int:
    """Print everything on the desk, a line each."""
    entries = asyncio.run(_entries(Endpoints.of(told.data)))
    for entry in entries:
        sys.stdout.write(f"{entry.kind}  {entry.subject}  case {entry.case_id or '-'}  {entry.reason}\n")
    if not entries:
        sys.stderr.write("nothing is on the desk\n")
    return 0


async def _entries(endpoints: Endpoints) -> list[store.DeskEntry]:
    try:
        connection = await asyncpg.connect(endpoints.dsn("assembly"), timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    try:
        async with away_as_unavailable():
            return await store.on_the_desk(connection, endpoints.site_id)
    finally:
        await connection.close()
