from pathlib import Path
from typing import Any

from overread.contracts.events.cases import CaseBody
from overread.contracts.topics import CASES_CHANGED, INFERENCE_PLANNED, INFERENCE_REQUESTED
from overread.inference import catalog
from overread.routing import rules
from overread.routing.handlers import Handlers
from overread.routing.settings import DEFAULT_RULES
from overread.runtime.consume import Consumption
from tests.builders.events import SITE, STUDY, a_study, a_study_ready, an_event, an_order_linked
from tests.builders.imaging import INFERENCE
from tests.builders.manifests import a_manifest
from tests.fakes.objects import an_object_store
from tests.fakes.units_of_work import FakeUnitsOfWork, a_record

KEY = f"{SITE}/studies/{STUDY}/manifests/1"


async def told_after(folder: Path, *bodies: CaseBody) -> list[tuple[str, bytes]]:
    """Let routing hear the events; return topics and bytes of what it published."""
    objects = an_object_store(folder)
    await objects.put(KEY, [a_manifest().to_bytes()])
    units = FakeUnitsOfWork(has_database=False, name="routing")
    handlers = Handlers(catalog.load(INFERENCE / "models.toml"), rules.load(DEFAULT_RULES), objects)
    consumption = Consumption(units, CASES_CHANGED, handlers.cases_changed)
    for offset, body in enumerate(bodies):
        event: Any = an_event(body)
        await consumption.on_records([a_record(event, offset=offset, topic=CASES_CHANGED)])
    return [(record.topic, record.value) for record in units.published]


def ready() -> CaseBody:
    """Return a study whose manifest is in the store."""
    return a_study_ready(study=a_study(manifest_key=KEY))


async def test_ready_study_is_planned_and_its_jobs_are_asked_for(tmp_path: Path) -> None:
    """One plan and one job, caused by the same event."""
    told = await told_after(tmp_path, ready())

    assert [topic for topic, _ in told] == [INFERENCE_PLANNED.name, INFERENCE_REQUESTED.name]


async def test_linked_order_infers_nothing_again(tmp_path: Path) -> None:
    """Only a new study revision is read."""
    assert await told_after(tmp_path, an_order_linked(study=a_study(manifest_key=KEY))) == []


async def test_ready_twice_has_one_effect(tmp_path: Path) -> None:
    """Routing keeps no inbox: a repeat tells the same events under the same ids, which every consumer recognises."""
    first = await told_after(tmp_path, ready())

    again = await told_after(tmp_path, ready(), ready())

    assert [_id(value) for _, value in again] == [_id(value) for _, value in first] * 2


def _id(value: bytes) -> bytes:
    return value.split(b'"id":"')[1][:36]


async def test_study_whose_manifest_is_missing_is_no_plan(tmp_path: Path) -> None:
    """It is set aside, visibly, not passed over."""
    told = await told_after(tmp_path, a_study_ready(study=a_study(manifest_key=f"{SITE}/none")))

    assert [topic for topic, _ in told] == [CASES_CHANGED.dead_name]
