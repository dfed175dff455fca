"""Assembly's table of appointments: notes about orders, which may come before them."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.appointments import Notice
from overread.runtime.inbox import Transaction

_NOTICES = TypeAdapter(Notice)


async def notice(tx: Transaction, site_id: str, key: str) -> Notice | None:
    """Return the appointment as it is known."""
    raw = await tx.connection.fetchval(
        "SELECT notice FROM appointments WHERE site_id = $1 AND appointment_key = $2", site_id, key
    )
    return _NOTICES.validate_json(raw) if raw else None


async def save(tx: Transaction, site_id: str, said: Notice) -> None:
    """Keep the appointment's newest word."""
    await tx.connection.execute(
        "INSERT INTO appointments (site_id, appointment_key, numbers, notice) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (site_id, appointment_key) DO UPDATE SET numbers = excluded.numbers, notice = excluded.notice",
        site_id,
        said.key,
        sorted({one.number for one in said.numbers}),
        _NOTICES.dump_json(said).decode(),
    )


async def notices_about(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[Notice]:
    """Return every appointment that has one of the numbers."""
    rows = await tx.connection.fetch(
        "SELECT notice FROM appointments WHERE site_id = $1 AND numbers && $2::text[]", site_id, sorted(numbers)
    )
    return [_NOTICES.validate_json(row["notice"]) for row in rows]


async def cases_of_orders(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[UUID]:
    """Return the cases with an order that one of the numbers could mean."""
    rows = await tx.connection.fetch(
        "SELECT l.case_id FROM order_numbers n JOIN case_orders l USING (site_id, order_id)"
        " WHERE n.site_id = $1 AND split_part(n.number, '^', 1) = ANY($2::text[])"
        " UNION SELECT l.case_id FROM orders o JOIN case_orders l USING (site_id, order_id)"
        " WHERE o.site_id = $1 AND o.accession_number = ANY($2::text[])",
        site_id,
        sorted(numbers),
    )
    return [UUID(str(row["case_id"])) for row in rows]
