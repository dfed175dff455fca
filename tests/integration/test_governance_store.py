"""Governance on a real PostgreSQL: what it keeps only grows."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.topics import AUDIT_RECORDED, REPORTS_CHANGED, Topic
from overread.governance import app, store
from overread.governance.settings import GovernanceSettings
from overread.runtime.database import migrate, open_pool
from overread.runtime.service import Service
from tests.builders.events import a_recorded, a_report_changed, an_event
from tests.fakes.review import SilentPublisher

pytestmark = pytest.mark.stack


@pytest.fixture
async def service(stack: Any) -> AsyncIterator[Service]:
    """Return governance, connected to its database only."""
    dsn = stack.endpoints.dsn("governance")
    made = app.make_service(GovernanceSettings(database_dsn=SecretStr(dsn)), publisher=SilentPublisher())
    made._pool = await open_pool(dsn)
    await migrate(made.pool, made._migrations)
    yield made
    await made.pool.close()


async def hears(service: Service, topic: Topic, *events: Event[Any]) -> None:
    """Consume `events` as one polled batch."""
    records: list[ConsumerRecord[bytes, bytes]] = [
        ConsumerRecord(topic.name, 0, number, 0, 0, b"", codec.encode(event), None, 0, 0, ())
        for number, event in enumerate(events)
    ]
    await service.consumptions[topic.name].on_records(records)


async def chain(service: Service, site_id: str) -> list[int]:
    """Return the positions of a site's chain."""
    async with service.pool.acquire() as connection, connection.transaction():
        return [each.position async for each in store.links_of(connection, site_id)]


async def broken(service: Service) -> str | None:
    """Return the first broken link."""
    async with service.pool.acquire() as connection:
        return await store.first_broken(connection)


async def test_audit_records_of_each_site_are_one_chain(service: Service) -> None:
    """Sites share nothing, and a repeat adds nothing."""
    sites = [f"site-{uuid4().hex[:12]}" for _ in range(2)]
    events = [an_event(a_recorded(), site_id=site, own_key=f"{site}/{number}") for number in range(3) for site in sites]

    await hears(service, AUDIT_RECORDED, *events[:4])
    await hears(service, AUDIT_RECORDED, *events)

    assert [await chain(service, site) for site in sites] == [[1, 2, 3], [1, 2, 3]]
    assert await broken(service) is None


async def test_facts_are_kept_once(service: Service) -> None:
    """A repeat has one effect."""
    event = an_event(a_report_changed(), site_id=f"site-{uuid4().hex[:12]}", own_key=str(uuid4()))

    await hears(service, REPORTS_CHANGED, event, event)
    await hears(service, REPORTS_CHANGED, event)

    kept = await service.pool.fetchval("SELECT count(*) FROM facts WHERE site_id = $1", event.site_id)
    assert kept == 1


@pytest.mark.parametrize("table", ["audit_chain", "facts"])
@pytest.mark.parametrize("change", ["UPDATE {} SET site_id = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_nothing_is_changed_or_removed(service: Service, table: str, change: str) -> None:
    """The role may not, and were it granted the right again, the triggers raise."""
    await hears(service, AUDIT_RECORDED, an_event(a_recorded(), own_key=str(uuid4())))
    await hears(service, REPORTS_CHANGED, an_event(a_report_changed(), own_key=str(uuid4())))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.pool.execute(change.format(table))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
        await _with_rights(service, change.format(table), table)


async def _with_rights(service: Service, change: str, table: str) -> None:
    """Give the role its rights back for one transaction, which is always undone."""
    async with service.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"GRANT ALL ON {table} TO CURRENT_USER")
        await connection.execute(change)
