"""Per destination and report, a lower (revision, status) never follows a higher."""

import itertools

import pytest

from overread.delivery.sequence import Position, Status, may_follow, must_take_back, verified_status


def at(place: str, *, was_refused: bool = False) -> Position:
    """Read `2F` as revision 2, status F."""
    return Position(report_revision=int(place[0]), status=Status(place[1]), was_refused=was_refused)


@pytest.mark.parametrize(
    ("earlier", "following"),
    [
        ("1R", "1F"),
        ("1R", "2R"),
        ("1P", "1F"),
        ("1F", "2C"),
        ("1X", "2R"),
        ("1R", "1X"),
        ("1F", "1W"),
        ("2C", "2W"),
        ("1W", "2C"),
    ],
)
def test_a_result_may_move_on(earlier: str, following: str) -> None:
    """Unread, final, corrected; a new revision; taken back and drafted anew."""
    assert may_follow([at(earlier)], at(following))


@pytest.mark.parametrize(
    ("earlier", "following"),
    [
        ("1F", "1R"),
        ("1F", "2R"),
        ("1F", "2P"),
        ("2R", "1R"),
        ("2R", "1F"),
        ("2C", "1F"),
        ("1R", "1R"),
        ("1F", "1F"),
        ("1F", "1X"),
        ("1F", "2X"),
        ("1C", "2X"),
        ("1X", "1R"),
        ("1X", "1F"),
        ("1X", "1X"),
        ("1W", "1F"),
        ("1W", "1W"),
        ("1W", "2R"),
        ("2C", "1W"),
    ],
)
def test_a_result_never_moves_back(earlier: str, following: str) -> None:
    """Not to an older revision, not from verified to unread, not beyond a withdrawal (HL7 v2.5.1, OBX-11)."""
    assert not may_follow([at(earlier)], at(following))


def test_nothing_unread_ever_follows_a_final_in_any_history() -> None:
    """Whatever may follow, one after the other, never shows an unread result after a verified one."""
    places = [at(f"{revision}{status.value}") for revision in (1, 2) for status in Status]

    for wished in itertools.permutations(places, 4):
        sent: list[Position] = []
        for position in wished:
            if may_follow(sent, position):
                sent.append(position)
        finals = [index for index, position in enumerate(sent) if position.status.is_signed]
        unread = [index for index, position in enumerate(sent) if not position.status.is_signed]
        assert not finals or not unread or max(unread) < min(finals)
        assert sent == sorted(sent, key=lambda position: position.rank)


def test_final_after_final_is_a_correction() -> None:
    """C replaces an earlier final; where the earlier one was refused there is nothing to replace."""
    assert verified_status([at("1R")]) is Status.FINAL
    assert verified_status([at("1R"), at("1F")]) is Status.CORRECTED
    assert verified_status([at("1F", was_refused=True)]) is Status.FINAL


def test_a_withdrawal_takes_back_only_what_is_shown_unread() -> None:
    """X goes to those that had got R or P, and never after a final."""
    assert must_take_back([at("1R")], 1)
    assert must_take_back([at("1R"), at("2P")], 2)
    assert must_take_back([at("1R")], 2)
    assert not must_take_back([], 1)
    assert not must_take_back([at("1R", was_refused=True)], 1)
    assert not must_take_back([at("1R"), at("1F")], 1)
    assert not must_take_back([at("1R"), at("1X")], 1)
    assert not must_take_back([at("1R"), at("2R")], 1)
