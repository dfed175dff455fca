"""`overread deliveries`: what a destination has not taken, and sending it again."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

import asyncpg

from overread.cli import deliveries_preview, options
from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.events.audit import Recorded
from overread.contracts.topics import AUDIT_RECORDED
from overread.delivery import operator_store
from overread.delivery.stored_outbox import publish_done
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
        help="list messages that their destination has not taken, send one again, or give one up",
        description="A message that is refused for a fault of its content is given up; one that is refused without "
        "saying why, or not answered, is tried again by itself. [destination.refusals] of the destinations file says "
        "otherwise: retry, hold or give_up by code (AE), condition (204) or both (AE 204). What is held waits, and what "
        "is behind it in its case, for your retry or give-up. A retry sends the same bytes.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|retry|give-up|destinations|preview")
    listing = actions.add_parser(
        "list", help="every message that is not acknowledged: its id, state, tries, the reason"
    )
    listing.add_argument(
        "--words", action="store_true", help="also what the receiver wrote itself: it may quote the patient"
    )
    retrying = actions.add_parser("retry", help="send messages now that were given up, are held, or wait")
    giving_up = actions.add_parser("give-up", help="end messages that are held; what is behind them leaves")
    ways = actions.add_parser(
        "destinations", help="how the way to each destination is: closed (it works), half_open, or open (left alone)"
    )
    for action in (retrying, giving_up):
        action.add_argument("delivery_id", nargs="+", type=UUID, metavar="ID", help="as `deliveries list` shows it")
    deliveries_preview.add_to(actions, _on_database)
    runs = ((listing, run_list), (retrying, run_retry), (giving_up, run_give_up), (ways, run_destinations))
    for action, run in runs:
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


def run_destinations(told: argparse.Namespace) -> int:
    """Print how the way to each destination is, a line each."""
    endpoints = Endpoints.of(told.data)
    rows = asyncio.run(_on_database(endpoints, lambda tx: operator_store.ways(tx.connection, tx.site_id)))
    for row in rows:
        since = row["since"].isoformat(timespec="seconds")
        counts = f"open {row['open']}  held {row['held']}  failures {row['failures']}"
        line = f"{row['destination']}  {row['state']}  since {since}  {counts}  {row['reason']}"
        sys.stdout.write(line.rstrip() + "\n")
    if not rows:
        sys.stderr.write("no destination was sent to yet\n")
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


def run_give_up(told: argparse.Namespace) -> int:
    """End the named messages, which are held; say which are not."""
    endpoints = Endpoints.of(told.data)
    refused = [str(each) for each in told.delivery_id if not asyncio.run(_give_up(endpoints, each))]
    if refused:
        raise OverreadError(f"not given up: {', '.join(refused)}: only what is held can be")
    return 0


async def _retry(endpoints: Endpoints, delivery_id: UUID) -> bool:
    async def retry(tx: Transaction) -> bool:
        revived = await operator_store.retry(tx.connection, tx.site_id, delivery_id, tx.clock())
        _record(tx, delivery_id, "retry", "done" if revived else "refused")
        return revived

    revived = await _on_database(endpoints, retry)
    if revived:
        sys.stdout.write(f"{delivery_id}  is sent again\n")
    return revived


async def _give_up(endpoints: Endpoints, delivery_id: UUID) -> bool:
    async def give_up(tx: Transaction) -> bool:
        ended = await operator_store.give_up(tx.connection, tx.site_id, delivery_id, tx.clock())
        if ended is not None:
            publish_done(*ended, tx)
        _record(tx, delivery_id, "give_up", "done" if ended else "refused")
        return ended is not None

    has_ended = await _on_database(endpoints, give_up)
    if has_ended:
        sys.stdout.write(f"{delivery_id}  is given up\n")
    return has_ended


def _record(tx: Transaction, delivery_id: UUID, action: str, outcome: str) -> None:
    body = Recorded(
        actor=f"uid {os.getuid()} (command line)",
        action=action,
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
