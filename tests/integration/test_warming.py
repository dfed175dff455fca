"""The duplicate guard read back from real Kafka, with the intake's own user and rights."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.stack_thread import StackThread
from overread.hl7_intake.intake import Intake
from overread.hl7_intake.reception import Reception
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.hl7_intake.warming import warm
from overread.runtime.clock import utc_now
from overread.runtime.group_commit import GroupCommit
from overread.runtime.publisher import KafkaPublisher, Outgoing
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import tail
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeObjects
from tests.fakes.mllp_lines import Line, free_ports

pytestmark = pytest.mark.stack


def settings_of(stack: StackThread, **told: object) -> HL7IntakeSettings:
    endpoints = stack.endpoints
    return HL7IntakeSettings(
        site_id=endpoints.site_id,
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="hl7_intake",
        kafka_password=SecretStr(endpoints.kafka_password("hl7_intake")),
        mllp_link=Link.model_validate(told),
    )


async def newest_first(settings: ServiceSettings, key: str, most: int, since: datetime | None = None) -> list[bytes]:
    start = since or utc_now() - timedelta(hours=1)
    return [value async for value in tail(settings, HL7_RECEIVED.name, key.encode(), most=most, since=start)]


async def test_after_a_restart_a_repeat_gets_its_first_answer(stack: StackThread) -> None:
    """DESIGN, Acknowledgment: warmed from the topic's tail: the same bytes again, and 205 for another body."""
    settings = settings_of(stack, link_id="restarted")
    publisher = KafkaPublisher(settings)
    await publisher.start()
    try:
        before = Intake(settings, settings.mllp_link, GroupCommit(publisher).enqueue, FakeObjects(), utc_now)
        first = await before.begin(an_omi())
        after = Intake(settings, settings.mllp_link, GroupCommit(publisher).enqueue, FakeObjects(), utc_now)
        await warm(after, settings, utc_now)
        repeat = await after.begin(an_omi())
        reused = await after.begin(an_omi(placer="OTHER^HIS"))
    finally:
        await publisher.stop()

    assert repeat == first is not None
    assert b"205^" in (reused or b"")
    assert len(await newest_first(settings, "restarted", 10)) == 1


async def test_the_tail_is_of_one_link_bounded_and_newest_first(stack: StackThread) -> None:
    """Bounded by number and by age, and another link's messages on the same partition are passed over."""
    settings = settings_of(stack)
    publisher = KafkaPublisher(settings)
    await publisher.start()
    # The two keys share a partition, so that what one of them wrote stands between what the other did.
    keys = (b"tail", b"tail", b"other", b"tail")
    records = [Outgoing(HL7_RECEIVED.name, key, b"%d" % number) for number, key in enumerate(keys)]
    try:
        await publisher.publish(records)
    finally:
        await publisher.stop()

    assert await newest_first(settings, "tail", 1_000) == [b"3", b"1", b"0"]
    assert await newest_first(settings, "tail", 1) == [b"3"]
    assert await newest_first(settings, "tail", 1_000, datetime.now(UTC) + timedelta(hours=1)) == []
    assert await newest_first(settings, "never-seen", 1_000) == []


async def test_warming_gives_up_in_time_and_the_intake_opens(stack: StackThread) -> None:
    """A broker that does not answer must not keep a link closed: assembly's unique keys bind anyway."""
    settings = settings_of(stack, warm_seconds=0.5).model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    intake = Intake(settings, settings.mllp_link, GroupCommit(KafkaPublisher(settings)).enqueue, FakeObjects(), utc_now)
    began = utc_now()

    await warm(intake, settings, utc_now)

    assert utc_now() - began < timedelta(seconds=5)
    assert len(intake.guard) == 0


async def test_each_link_is_warmed_from_its_own_tail_also_one_that_is_added_later(stack: StackThread) -> None:
    """REQ-LNK-05: two links on one topic, one control ID: after a restart each knows what it took, and nothing more."""
    settings = settings_of(stack)
    his, ris, lis = (
        Link(link_id=name, port=port) for name, port in zip(("his1", "ris1", "lis1"), free_ports(3), strict=True)
    )
    async with reception_of(settings) as before:
        await before.apply([his, ris])
        first = {link.link_id: await asked(link, f"{link.link_id}^HIS") for link in (his, ris)}

    async with reception_of(settings) as after:
        await after.apply([his, lis])
        again = {"his1": await asked(his, "his1^HIS")}
        fresh = await asked(lis, "his1^HIS")
        await after.apply([his, ris, lis])
        again["ris1"] = await asked(ris, "ris1^HIS")
        reused = await asked(ris, "his1^HIS")

    assert again == first
    assert b"MSA|CA|" in fresh
    assert b"205^" in reused
    assert [len(await newest_first(settings, name, 10)) for name in ("his1", "ris1", "lis1")] == [1, 1, 1]


async def asked(link: Link, placer: str) -> bytes:
    """Return the answer to an order with the one control ID of this test."""
    line = await Line.to(link.port or 0)
    line.send(an_omi(placer=placer))
    answer = await line.answer()
    line.close()
    return answer


@asynccontextmanager
async def reception_of(settings: HL7IntakeSettings) -> AsyncIterator[Reception]:
    """Open a reception that keeps what it takes on the real broker."""
    publisher = KafkaPublisher(settings)
    await publisher.start()
    enqueue = GroupCommit(publisher).enqueue
    reception = Reception(
        settings,
        lambda link: Intake(settings, link, enqueue, FakeObjects(), utc_now),
        lambda intake: warm(intake, settings, utc_now),
    )
    try:
        yield reception
    finally:
        await reception.stop()
        await publisher.stop()
