"""Group commit through the real client to real Kafka."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr

from overread.contracts.errors import OverreadError
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.stack_thread import StackThread
from overread.runtime.clock import utc_now
from overread.runtime.group_commit import GroupCommit
from overread.runtime.publisher import KafkaPublisher, Outgoing
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import tail

pytestmark = pytest.mark.stack

BURST = 700
"""Of 1 kB each: several batches of 256 KiB, so that some records find no room and wait."""


async def test_a_burst_larger_than_a_batch_is_kept_in_order(stack: StackThread) -> None:
    """A link's order is kept on the topic, record for record, whatever batches it travelled in."""
    endpoints = stack.endpoints
    settings = ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="hl7_intake",
        kafka_password=SecretStr(endpoints.kafka_password("hl7_intake")),
    )
    publisher = KafkaPublisher(settings)
    await publisher.start()
    commit = GroupCommit(publisher)
    values = [f"{number:04d}".encode() + b"." * 1_000 for number in range(BURST)]
    try:
        waiting = [asyncio.create_task(_keep(commit, value)) for value in values]
        await asyncio.wait_for(asyncio.gather(*waiting), 30)
    finally:
        await publisher.stop()

    since = utc_now() - timedelta(hours=1)
    newest_first = [value async for value in tail(settings, HL7_RECEIVED.name, b"burst", most=24 * BURST, since=since)]
    assert newest_first == values[::-1]


async def _keep(commit: GroupCommit, value: bytes) -> None:
    kept: asyncio.Future[OverreadError | None] = asyncio.get_running_loop().create_future()
    commit.enqueue(Outgoing(HL7_RECEIVED.name, b"burst", value), kept.set_result)
    assert await kept is None
