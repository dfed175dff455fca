"""Assembly's table of appointments: notes about orders, which may come before them."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.appointments import Notice
from overread.runtime.inbox import Transaction

_NOTICES = TypeAdapter(Notice)


async def known_of(tx: Transaction, site_id: str, said: Notice) -> Notice | None:
    """Return the appointment as it is known: of its sender, or from before senders were kept."""
    rows = await tx.connection.fetch(
        "SELECT notice FROM appointments WHERE site_id = $1 AND appointment_key = $2 AND sender = ANY($3::text[])"
        " ORDER BY sender DESC",
        site_id,
        said.key,
        ["", said.sender],
    )
    known = (_NOTICES.validate_json(row["notice"]) for row in rows)
    return next((one for one in known if one.sender == said.sender or one.may_be(said)), None)


async def forget(tx: Transaction, site_id: str, known: Notice) -> None:
    """Let go of an appointment that is kept under its sender's name from now on."""
    await tx.connection.execute(
        "DELETE FROM appointments WHERE site_id = $1 AND appointment_key = $2 AND sender = $3",
        site_id,
        known.key,
        known.sender,
    )


async def save(tx: Transaction, site_id: str, said: Notice) -> None:
    """Keep the appointment's newest word."""
    await tx.connection.execute(
        "INSERT INTO appointments (site_id, appointment_key, sender, numbers, notice) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (site_id, appointment_key, sender) DO UPDATE SET"
        " numbers = excluded.numbers, notice = excluded.notice",
        site_id,
        said.key,
        said.sender,
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
