import asyncio
from typing import Any

import pytest

from overread.cli import dead
from overread.contracts.errors import OverreadError
from overread.contracts.topics import HL7_RECEIVED
from overread.runtime.settings import ServiceSettings

TOPIC = HL7_RECEIVED.dead_name


@pytest.mark.parametrize(
    "place",
    [
        "",
        "nonsense",
        TOPIC,
        f"{TOPIC}/0",
        f"{TOPIC}/x/1",
        f"{TOPIC}/0/-1",
        f"{TOPIC}/0/1.5",
        f"{HL7_RECEIVED.name}/0/1",
        "no.such.topic.dead/0/1",
        "/0/1",
    ],
)
def test_place_that_names_no_dead_letter_is_told_so_without_asking_the_broker(place: str) -> None:
    """As `dead list` shows it: TOPIC/PARTITION/OFFSET; nothing listens where these settings point."""
    settings = ServiceSettings(kafka_bootstrap="127.0.0.1:1", kafka_security="PLAINTEXT")

    with pytest.raises(OverreadError, match="see `overread dead list`"):
        asyncio.run(dead._letter(settings, place))


@pytest.mark.parametrize("place", [f"{TOPIC}/00/1", f"{TOPIC}/0/01", f"{TOPIC}/0/1/2"])
def test_place_written_in_another_way_is_no_place(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is replayed is exactly what was named."""

    class Letter:
        place = f"{TOPIC}/0/1"

    async def letter_at(*_asked: Any) -> Any:
        return Letter()

    monkeypatch.setattr(dead, "letter_at", letter_at)

    with pytest.raises(OverreadError, match="no dead letter at"):
        asyncio.run(dead._letter(ServiceSettings(), place))
