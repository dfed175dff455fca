"""Accession numbers that one slip of the finger makes of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.assembly.near_numbers import LONGEST, SHORTEST, near_forms, nearness

NUMBERS = st.text(alphabet="0123456789", min_size=SHORTEST, max_size=LONGEST - 1)


@pytest.mark.parametrize(
    ("one", "other", "slip"),
    [
        ("ACC12345", "ACC12354", "transposed"),
        ("ACC12345", "ACC12346", "one_character"),
        ("ACC12345", "ACC1245", "missing_character"),
        ("0012345", "12345", "leading_zeros"),
        ("acc-12345", "ACC12345", "punctuation"),
        ("ACC12345", "ACC12345", ""),
        ("ACC12345", "ACC99345", ""),
        ("12", "13", ""),
    ],
)
def test_slip_is_named(one: str, other: str, slip: str) -> None:
    """REQ-DSK-02: the person is told what may have happened; of short numbers each is near to each."""
    assert nearness(one, other) == slip


@given(NUMBERS, NUMBERS)
def test_nearness_knows_no_direction(one: str, other: str) -> None:
    """REQ-DSK-02: from order to study and back."""
    assert nearness(one, other) == nearness(other, one)


@given(NUMBERS, st.data())
def test_index_is_asked_for_every_slip(number: str, data: st.DataObject) -> None:
    """REQ-DSK-02: what one slip makes of a number is found, and what is found is near."""
    place = data.draw(st.integers(0, len(number) - 2))
    digit = data.draw(st.sampled_from("0123456789"))
    slips = {
        number[:place] + number[place + 1] + number[place] + number[place + 2 :],
        number[:place] + digit + number[place + 1 :],
        number[:place] + digit + number[place:],
    } - {number}

    forms = near_forms(number)

    assert slips <= forms
    assert len(forms) < 600
    assert all(nearness(number, form) for form in forms)
