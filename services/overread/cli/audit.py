"""`overread audit verify`: is the audit chain unbroken."""

import argparse
import asyncio
import sys

import asyncpg

from overread.cli import options
from overread.contracts.errors import Unavailable
from overread.embedded.endpoints import Endpoints
from overread.governance import store


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "audit", help="verify the audit chain", description="Audit records are chained by hash."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="verify")
    verify = actions.add_parser("verify", help="recompute every link; exit 1 at the first that does not hold")
    options.add_data(verify)
    verify.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Say whether the chain holds."""
    endpoints = Endpoints.of(told.data)
    return asyncio.run(_verify(endpoints.dsn("governance")))


async def _verify(dsn: str) -> int:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    try:
        broken = await store.first_broken(connection)
    finally:
        await connection.close()
    sys.stdout.write("the audit chain holds\n" if broken is None else f"the audit chain is broken at {broken}\n")
    return 0 if broken is None else 1
