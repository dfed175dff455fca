"""Makes a new version of a site's mapping: the difference is told first, and orders that are open follow it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from overread.assembly import mapping_store, patient_store
from overread.assembly.door import NotFound, Refused
from overread.assembly.mapping_difference import Difference, difference
from overread.assembly.mapping_rows import MappingRow, in_order, rows_json
from overread.contracts import codec
from overread.contracts.events.audit import Recorded
from overread.contracts.topics import AUDIT_RECORDED
from overread.runtime.inbox import Transaction

MOST_COUNTED = 10_000

Change = Callable[[Sequence[MappingRow]], Sequence[MappingRow]]
"""What makes the new rows of those that count now."""


class Moved(Refused):
    """Somebody else changed the mapping since you looked: look at the difference again."""

    kind = "mapping-moved"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What an import did, or would do: `version` is the one that counts after it."""

    version: int
    rows: Sequence[MappingRow]
    difference: Difference
    orders: int
    """Open orders whose study is not read that hold one of the codes; `MOST_COUNTED` stands for that many or more."""


async def compare(tx: Transaction, change: Change, reach: timedelta) -> Made:
    """Return what `change` would do to the mapping that counts; nothing is written, nobody waits."""
    version = await mapping_store.version_number(tx, tx.site_id)
    before = await rows_at(tx, version)
    after = in_order(change(before))
    told = difference(before, after)
    orders = await mapping_store.count_touched(tx, tx.site_id, told.keys(), tx.clock() - reach, MOST_COUNTED)
    return Made(version=version, rows=after, difference=told, orders=orders)


async def make(tx: Transaction, compared: Made, *, made_by: str, origin: str) -> Made:
    """Let what was compared be the site's mapping, or raise `Moved` when it is another one by now.

    The mapping is held alone: a batch of orders or images is told wholly before or wholly after a new version.
    """
    if compared.difference.is_empty:
        return compared
    await patient_store.lock_patients(tx, [tx.site_id], to_change=True)
    if await mapping_store.version_number(tx, tx.site_id) != compared.version:
        raise Moved
    version = await mapping_store.add_version(
        tx, tx.site_id, compared.rows, compared.difference, made_by=made_by, origin=origin
    )
    await _forget_named(tx)
    _record(tx, made_by, version, origin, compared.rows)
    return replace(compared, version=version)


async def rows_at(tx: Transaction, version: int) -> Sequence[MappingRow]:
    """Return the rows of a version, or raise `NotFound`."""
    found = await mapping_store.mapping_at(tx, tx.site_id, version)
    if found is None:
        raise NotFound(f"there is no version {version} of the mapping")
    return found.rows


async def _forget_named(tx: Transaction) -> None:
    mapping = await mapping_store.current(tx, tx.site_id)
    waiting = await mapping_store.unmapped(tx, tx.site_id)
    await mapping_store.forget_unmapped(tx, tx.site_id, [one.key for one in waiting if mapping.names(one.key)])


def _record(tx: Transaction, made_by: str, version: int, origin: str, rows: Sequence[MappingRow]) -> None:
    body = Recorded(
        actor=made_by,
        action="change_mapping",
        object_type="mapping",
        object_id=str(version),
        outcome="done",
        recorded_at=tx.clock(),
        detail=f"{origin}, digest {codec.sha256(rows_json(rows))}",
    )
    own_key = f"mapping/{tx.site_id}/{version}"
    tx.publish(AUDIT_RECORDED, body, subject=str(version), own_key=own_key, caused_by=None)
