from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from overread.contracts.identifiers import deterministic_id
from overread.governance.audit_chain import GENESIS, Link, Record, link, record_of, verify
from tests.builders.events import SITE, a_recorded, an_event


def a_chain(contents: list[bytes]) -> list[Link]:
    """Return the chain of records with these contents."""
    chain: list[Link] = []
    for number, content in enumerate(contents):
        record = Record(site_id=SITE, event_id=deterministic_id("audit", str(number)), content=content)
        chain.append(link(chain[-1] if chain else None, record))
    return chain


CONTENTS = st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=8)


@given(CONTENTS)
def test_chain_as_it_was_made_holds(contents: list[bytes]) -> None:
    """Nothing is found where nothing was changed."""
    assert verify(a_chain(contents)) is None


@given(CONTENTS, st.data())
def test_any_changed_byte_is_found(contents: list[bytes], data: st.DataObject) -> None:
    """Wherever one byte of a record differs, its link is the first that does not hold."""
    chain = a_chain(contents)
    place = data.draw(st.integers(0, len(chain) - 1))
    changed = bytearray(chain[place].record)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    chain[place] = replace(chain[place], record=bytes(changed))

    assert verify(chain) == chain[place]


@given(CONTENTS, st.data())
def test_link_left_out_or_moved_is_found(contents: list[bytes], data: st.DataObject) -> None:
    """Only a tail cut off can't be seen from the chain alone."""
    chain = a_chain(contents)
    place = data.draw(st.integers(0, len(chain) - 2))

    without = [*chain[:place], *chain[place + 1 :]]
    swapped = [*chain[:place], chain[place + 1], chain[place], *chain[place + 2 :]]

    assert verify(without) is not None
    assert verify(swapped) is not None


@given(CONTENTS, st.sampled_from(["position", "event_id", "previous_hash", "hash", "site_id"]))
def test_any_other_changed_column_is_found(contents: list[bytes], column: str) -> None:
    """Whose, where and after what are covered as the record is."""
    chain = a_chain(contents)
    changed: dict[str, Any] = {
        "position": 99,
        "event_id": deterministic_id("another"),
        "previous_hash": "f" * 64,
        "hash": "f" * 64,
        "site_id": "another-site",
    }
    chain[-1] = replace(chain[-1], **{column: changed[column]})

    assert verify(chain) == chain[-1]


def test_chain_begins_with_the_known_hash() -> None:
    """A chain whose beginning was cut off does not hold."""
    chain = a_chain([b"a", b"b"])

    assert chain[0].previous_hash == GENESIS
    assert verify(chain[1:]) == chain[1]


def test_record_says_all_that_the_event_says() -> None:
    """Actor, act and time are in the bytes that are hashed."""
    content = record_of(an_event(a_recorded())).content

    assert all(word in content for word in (b'"actor":"dr.test"', b'"action":"view"', b'"recorded_at"', b'"time"'))
