"""What explain says becomes of an order that names no images."""

import pytest

from overread.protocols.hl7.taken_as import taken_as
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import an_orm
from tests.builders.orders import HANOI


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ("NW", "no image finds this order by itself, a person has to link them at the desk"),
        ("CA", "It names no images, and needs not: it is about the order that is known by its number."),
    ],
)
def test_an_order_without_keys_of_its_images_is_told_so_once(control: str, sentence: str) -> None:
    """A new one is found by nothing; a word about a known one needs no key."""
    raw = an_orm(control=control, accession="", without=("ZDS",))

    said = taken_as(tokenise(raw), time_zone=HANOI)

    assert len([one for one in said if sentence in one]) == 1
    assert not [one for one in said if "alone leads" in one or "by their Study Instance UID" in one]
