"""What an intake stored and did not come to tell is told after its next start, on real Kafka and PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from overread.archive import store
from overread.contracts.envelope import event_of
from overread.contracts.events.intake import InstanceStored, StudyHint
from tests.builders import dicom
from tests.builders.events import TRACEPARENT, an_intake_restarted
from tests.fakes.archive_bench import ArchiveBench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ArchiveBench]:
    """Return a running archive of its own site."""
    async with ArchiveBench(stack.endpoints, tmp_path).running() as opened:
        yield opened


async def test_stored_and_not_told_is_told_once_under_the_intakes_own_id(bench: ArchiveBench) -> None:
    """REQ-ACK-08: 0x0000 followed the sync; the event follows the next start, and what was told is not told again."""
    told = await bench.stores(1, is_told=True)
    untold = await bench.stores(2, is_told=False)

    await bench.intake_restarts()
    await bench.holds(2)

    events = await bench.on_topic(InstanceStored)
    assert sorted(str(event.id) for event in events) == sorted((str(told.id), str(untold.id)))
    (swept,) = [event for event in events if event.id == untold.id]
    assert (swept.source, swept.data.digest, swept.data.object_key) == (
        "archive",
        untold.data.digest,
        untold.data.object_key,
    )
    assert swept.data.calling_ae_title == "TESTCT"


async def test_what_is_swept_says_that_its_association_is_closed(bench: ArchiveBench) -> None:
    """Nobody else will: otherwise its study waits for an end that never comes."""
    untold = await bench.stores(1, is_told=False)

    await bench.intake_restarts()
    await bench.holds(1)

    (hint,) = await bench.on_topic(StudyHint)
    (swept,) = await bench.on_topic(InstanceStored)
    assert hint.data.association_id == swept.data.association_id
    assert hint.data.sop_instance_uids == (untold.data.sop_instance_uid,)


async def test_second_restart_tells_nothing_again(bench: ArchiveBench) -> None:
    """A sweep begins where the last one ended, and knows what is held."""
    await bench.stores(1, is_told=False)
    await bench.intake_restarts()
    await bench.holds(1)

    await bench.intake_restarts()

    assert (await bench.sweeps_done(), len(await bench.on_topic(InstanceStored))) == (2, 1)


async def test_stray_and_broken_objects_stop_no_sweep(bench: ArchiveBench) -> None:
    """What can't be read as an instance is set aside, visibly; a stray file is none; the rest is told."""
    untold = await bench.stores(1, is_told=False)
    folder = f"{bench.site_id}/studies/{dicom.a_uid(bench.site_id)}"
    broken = f"{folder}/1.2.3/{'0' * 64}"
    for key in (f"{folder}/1.2.3/notes.txt", broken, f"{folder}/manifests/1-{'1' * 64}"):
        await bench.objects.put(key, [b"not an instance"])

    await bench.intake_restarts()
    await bench.holds(1)

    aside = await bench.service.pool.fetch("SELECT object_key FROM set_aside WHERE site_id = $1", bench.site_id)
    assert [event.id for event in await bench.on_topic(InstanceStored)] == [untold.id]
    assert [row["object_key"] for row in aside] == [broken]


async def test_restart_twice_has_one_effect(bench: ArchiveBench) -> None:
    """The same event again is the same sweep."""
    at = datetime.now(UTC) - timedelta(seconds=1)
    await bench.intake_restarts(at)

    body = an_intake_restarted(study_instance_uid="-", restarted_at=at)
    again = event_of(
        body,
        source="dicom_intake",
        time=at,
        subject="dicom_intake",
        site_id=bench.site_id,
        traceparent=TRACEPARENT,
        own_key=str(uuid4()),
    )
    await bench.tells(again)
    await bench.stores(1, is_told=True)
    await bench.holds(1)

    assert await bench.sweeps_done() == 1


async def test_instance_twice_has_one_effect(bench: ArchiveBench) -> None:
    """What we hold, we hold once."""
    event = await bench.stores(1, is_told=True)

    await bench.tells(event)
    await bench.tells(event.model_copy(update={"id": uuid4()}))
    await bench.stores(2, is_told=True)

    await bench.holds(2)


async def test_object_that_can_not_be_told_is_set_aside_until_it_can(bench: ArchiveBench) -> None:
    """Promise 2: accepted is used, or set aside with its reason where an operator finds it; a later restart tries again."""
    untold = await bench.stores(1, is_told=False)
    place = bench.objects._path(untold.data.object_key)
    content = place.read_bytes()
    place.write_bytes(b"not an instance")
    await bench.intake_restarts(datetime.now(UTC) - timedelta(hours=1))
    before = await _set_aside(bench)

    place.write_bytes(content)
    await bench.intake_restarts(datetime.now(UTC) + timedelta(hours=1))
    await bench.holds(1)

    assert [(aside.object_key, aside.reason) for aside in before] == [
        (untold.data.object_key, "Malformed: the object is not a DICOM Part 10 file")
    ]
    assert await _set_aside(bench) == []


async def _set_aside(bench: ArchiveBench) -> list[store.SetAside]:
    async with bench.service.pool.acquire() as connection:
        return [aside for aside in await store.all_set_aside(connection) if aside.site_id == bench.site_id]
