"""`overread deliveries`: what a destination has not taken, and sending it again."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

import asyncpg

from overread.cli import options
from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.events.audit import Recorded
from overread.contracts.topics import AUDIT_RECORDED
from overread.delivery import operator_store
from overread.embedded.endpoints import Endpoints
from overread.runtime.clock import utc_now
from overread.runtime.database import away_as_unavailable
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    from overread.runtime.database import Connection

T = TypeVar("T")


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "deliveries",
        help="list messages that their destination has not taken, or send one again",
        description="A message that is refused for a fault of its content is given up; one that is refused without "
        "saying why, or not answered, is tried again by itself. A retry sends the same bytes.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|retry")
    listing = actions.add_parser(
        "list", help="every message that is not acknowledged: its id, state, tries, the reason"
    )
    listing.add_argument(
        "--words", action="store_true", help="also what the receiver wrote itself: it may quote the patient"
    )
    retrying = actions.add_parser("retry", help="send messages now that were given up or wait for their next try")
    retrying.add_argument("delivery_id", nargs="+", type=UUID, metavar="ID", help="as `deliveries list` shows it")
    for action, run in ((listing, run_list), (retrying, run_retry)):
        options.add_data(action)
        action.set_defaults(run=run)


def run_list(told: argparse.Namespace) -> int:
    """Print every message that its destination has not taken, a line each."""
    endpoints = Endpoints.of(told.data)
    rows = asyncio.run(_on_database(endpoints, lambda tx: operator_store.not_taken(tx.connection, tx.site_id)))
    columns = ("delivery_id", "destination", "form", "status", "state", "attempts", "reason")
    for row in rows:
        said = [str(row[column]) for column in (*columns, *(("receiver_text",) if told.words else ()))]
        sys.stdout.write("  ".join(said).rstrip() + "\n")
    if not rows:
        sys.stderr.write("every message was taken\n")
    return 0


def run_retry(told: argparse.Namespace) -> int:
    """Send the named messages again; say which can't be, and why."""
    endpoints = Endpoints.of(told.data)
    refused = [str(each) for each in told.delivery_id if not asyncio.run(_retry(endpoints, each))]
    if refused:
        raise OverreadError(
            f"not sent again: {', '.join(refused)}: taken already, about to be sent, or a later result stands for it"
        )
    return 0


async def _retry(endpoints: Endpoints, delivery_id: UUID) -> bool:
    async def retry(tx: Transaction) -> bool:
        revived = await operator_store.retry(tx.connection, tx.site_id, delivery_id, tx.clock())
        _record(tx, delivery_id, "done" if revived else "refused")
        return revived

    revived = await _on_database(endpoints, retry)
    if revived:
        sys.stdout.write(f"{delivery_id}  is sent again\n")
    return revived


def _record(tx: Transaction, delivery_id: UUID, outcome: str) -> None:
    body = Recorded(
        actor=f"uid {os.getuid()} (command line)",
        action="retry",
        object_type="delivery",
        object_id=str(delivery_id),
        outcome=outcome,
        recorded_at=tx.clock(),
        detail="",
        case_id=None,
    )
    tx.publish(AUDIT_RECORDED, body, subject=str(delivery_id), own_key=str(uuid4()), caused_by=None)


async def _on_database(endpoints: Endpoints, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Do `work` in one transaction of delivery's role; what it says leaves by delivery's own relay."""
    try:
        pool = await asyncpg.create_pool(endpoints.dsn("delivery"), min_size=1, max_size=1, timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    async with away_as_unavailable(), pool, pool.acquire() as connection, connection.transaction():
        tx = _transaction(endpoints.site_id, connection)
        done = await work(tx)
        await tx.write_outbox()
        return done


def _transaction(site_id: str, connection: "Connection") -> Transaction:
    return Transaction(service="delivery", site_id=site_id, clock=utc_now, connection=connection)
