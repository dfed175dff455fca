"""How long each service had a study, from its last image to its draft: by the times of the events that they published."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.events.cases import StudyReady
from overread.contracts.events.inference import InferenceDone, InferencePlanned
from overread.contracts.events.reports import ReportChanged
from overread.contracts.topics import CASES_CHANGED, INFERENCE_DONE, INFERENCE_PLANNED, REPORTS_CHANGED, Topic
from overread.embedded.endpoints import Endpoints
from overread.runtime.publisher import partition_of
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import TopicReader, reading

HOPS: Mapping[str, tuple[Topic, type[Body]]] = {
    "assembly": (CASES_CHANGED, StudyReady),
    "routing": (INFERENCE_PLANNED, InferencePlanned),
    "inference_worker": (INFERENCE_DONE, InferenceDone),
    "review": (REPORTS_CHANGED, ReportChanged),
}
"""Who has the study, in the order of its way, and the event by which each hands it on."""


async def seconds_by_service(endpoints: Endpoints, case_id: str, since: datetime) -> dict[str, float]:
    """Return what each service took of the way to the draft; who had nothing to do with the study is left out."""
    settings = ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="ops",
        kafka_password=endpoints.kafka_password("ops"),
    )
    async with reading(settings, *(topic.name for topic, _ in HOPS.values())) as reader:
        told = {service: await _told(reader, topic, case_id.encode()) for service, (topic, _) in HOPS.items()}
    return seconds_of(told, since)


def seconds_of(told: Mapping[str, Sequence[Event[Body]]], since: datetime) -> dict[str, float]:
    """Return the seconds between one hand-over and the next, the first counted from `since`."""
    handed_on = {service: _handed_on(told[service], kind) for service, (_, kind) in HOPS.items()}
    known = [(service, at) for service, at in handed_on.items() if at is not None]
    times = pairwise([since, *(at for _, at in known)])
    return {service: (at - before).total_seconds() for (service, _), (before, at) in zip(known, times, strict=True)}


def _handed_on(events: Sequence[Event[Body]], kind: type[Body]) -> datetime | None:
    """Return when the service was done with the study's newest images: the last such event that it published."""
    return max((event.time for event in events if isinstance(event.data, kind)), default=None)


async def _told(reader: TopicReader, topic: Topic, key: bytes) -> list[Event[Body]]:
    partition = partition_of(key, reader.partitions(topic.name))
    async with contextlib.aclosing(reader.read(partition, *await reader.span(partition))) as records:
        values = [record.value async for record in records if record.key == key and record.value is not None]
    return [codec.decode(value, topic.bodies) for value in values]
