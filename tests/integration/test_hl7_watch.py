"""`overread hl7 watch` on real Kafka, with the rights of the user `ops`."""

import asyncio

import pytest
from pydantic import SecretStr

from overread.cli import app
from overread.contracts import codec
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.stack_thread import StackThread
from overread.runtime.publisher import KafkaPublisher, Outgoing
from overread.runtime.settings import ServiceSettings
from tests.builders.events import an_event, an_hl7_received

pytestmark = pytest.mark.stack


async def test_what_is_taken_is_seen_at_once(stack: StackThread, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-05: a message that comes while one watches is shown, and the watch ends when it was told to."""
    endpoints = stack.endpoints
    settings = ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="hl7_intake",
        kafka_password=SecretStr(endpoints.kafka_password("hl7_intake")),
    )
    event = an_event(an_hl7_received(message_control_id="SEEN-1"), source="hl7_intake", own_key="seen")
    words = ["hl7", "watch", "--data", str(endpoints.data.root), "--limit", "1", "--seconds", "60"]
    watching = asyncio.create_task(asyncio.to_thread(app.main, words))
    await _says(capsys, "watching")
    publisher = KafkaPublisher(settings)
    await publisher.start()
    try:
        await publisher.publish([Outgoing(HL7_RECEIVED.name, b"his", codec.encode(event))])
        status = await asyncio.wait_for(watching, 30)
    finally:
        await publisher.stop()

    assert (status, "OMI^O23  SEEN-1  from HIS|TEST  AA" in capsys.readouterr().out) == (0, True)


async def _says(capsys: pytest.CaptureFixture[str], words: str) -> None:
    said = ""
    async with asyncio.timeout(30):
        while words not in said:
            said += capsys.readouterr().err
            await asyncio.sleep(0.05)
