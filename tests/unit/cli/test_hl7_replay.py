"""When a recorded message is sent again."""

from datetime import timedelta
from pathlib import Path

import pytest

from overread.cli.hl7_replay import waits_of
from overread.cli.recordings import Recorded, Recording, recorded
from overread.contracts.errors import OverreadError
from tests.builders.events import NOON
from tests.builders.hl7 import an_orm


def at(seconds: float | None) -> Recorded:
    return Recorded(b"", None if seconds is None else NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(("speed", "expected"), [(1, [0, 10, 10, 60]), (10, [0, 1, 1, 6]), (0, [0, 0, 0, 0])])
def test_pauses_are_those_of_the_day_divided_by_the_speed(speed: float, expected: list[float]) -> None:
    """One without a time follows at once; 0 is without pauses."""
    assert waits_of([at(0), at(10), at(None), at(60)], speed) == expected


def test_a_folder_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    """The file's name says when a message came, whatever MSH-7 says; answers are no messages."""
    recording = Recording(tmp_path / "day")
    recording.keep(an_orm(control_id="LATER"), NOON + timedelta(seconds=5))
    recording.keep(an_orm(control_id="FIRST"), NOON)
    recording.keep(b"MSH|answer", NOON, "answer")

    found = recorded(tmp_path / "day")

    assert [each.came_at for each in found] == [NOON, NOON + timedelta(seconds=5)]
    assert [b"FIRST" in found[0].raw, b"LATER" in found[1].raw] == [True, True]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    """One sentence with what to do next."""
    with pytest.raises(OverreadError, match="holds no message"):
        recorded(tmp_path)
