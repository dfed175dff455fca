"""Statements about patients end in the same records in any order in which links can bring them, and lose no number."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from overread.assembly.known_patients import KnownPatients
from overread.assembly.patient_numbers import key_of
from overread.assembly.patient_records import Folded, Statement, fold
from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.identifiers import deterministic_id
from tests.builders.events import NOON, SITE, a_patient

NUMBERS = tuple(PatientIdentifier(id_number=f"TEST-{n}", assigning_authority="HIS") for n in range(4))
CITIZENS = tuple(
    PatientIdentifier(id_number=f"00107000000{n}", assigning_authority="VNBCA", identifier_type_code="NI")
    for n in range(2)
)
NAMES = ("", "MỘT", "HAI", "BA")
BIRTH_DATES = ("", "1970-01-01", "1950-01-01")


_BESIDE = st.lists(st.sampled_from((*CITIZENS, *NUMBERS)), max_size=2)
"""What a list holds beside its first number: a citizen's, and now and then another record's, by mistake or not."""


@st.composite
def said(draw: st.DrawFn) -> Statement:
    """Return an update or a merge of a few patients."""
    first, *others = draw(st.permutations(NUMBERS))
    is_merge = draw(st.booleans())
    return Statement(
        event_id=deterministic_id("test"),
        group_number=0,
        message_control_id="TEST-1",
        stated_at=NOON,
        identifiers=(first, *([] if is_merge else draw(_BESIDE))),
        prior=(others[0],) if is_merge else (),
        survivors=(first,) if is_merge else (),
        given_name=draw(st.sampled_from(NAMES)),
        birth_date=draw(st.sampled_from(BIRTH_DATES)),
        cleared=draw(st.sampled_from([frozenset[str](), frozenset({"name"})])),
    )


@st.composite
def links(draw: st.DrawFn) -> list[list[Statement]]:
    """Return what two links bring: each in its order, several in one second, no two of both in the same second."""
    brought = []
    for link in range(2):
        seconds = sorted(draw(st.lists(st.integers(0, 3), max_size=5)))
        brought.append(
            [
                replace(
                    draw(said()),
                    event_id=deterministic_id("test", str(link), str(number)),
                    stated_at=NOON + timedelta(seconds=2 * second + link),
                )
                for number, second in enumerate(seconds)
            ]
        )
    return brought


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Statement], list[Statement]]:
    """Return what both links bring, one after the other, and in another order that keeps each link's."""
    one, other = draw(links())
    turns = draw(st.permutations([0] * len(one) + [1] * len(other)))
    queues = (iter(one), iter(other))
    return [*one, *other], [next(queues[turn]) for turn in turns]


def _folded(statements: list[Statement]) -> Folded:
    return fold(statements, SITE)


@given(arrivals())
def test_records_are_the_same_in_any_order_of_arrival(arrived: tuple[list[Statement], list[Statement]]) -> None:
    """Kafka keeps each link's order, and nothing else."""
    assert _folded(arrived[0]) == _folded(arrived[1])


@given(links())
def test_no_number_is_lost_and_none_is_of_two_patients(brought: list[list[Statement]]) -> None:
    """A merge marks numbers; it never loses one, and never leaves one to both."""
    statements = list(chain.from_iterable(brought))

    folded = _folded(statements)

    of_records = [{key_of(n) for n in (*r.identifiers, *r.former) if n in NUMBERS} for r in folded.records]
    taken = [s for s in statements if s not in folded.waiting and s not in folded.refused]
    named = {key_of(n) for s in taken for n in (*s.identifiers, *s.prior) if n in NUMBERS}
    assert set().union(*of_records) == named
    assert sum(map(len, of_records)) == len(named)


@given(links())
def test_every_merge_that_was_taken_makes_one_patient_of_both_numbers(brought: list[list[Statement]]) -> None:
    """Whatever came before and after, old and new number find the same record."""
    folded = _folded(list(chain.from_iterable(brought)))
    known = KnownPatients(folded.records)

    taken = [s for s in chain.from_iterable(brought) if s.prior and s not in folded.waiting + folded.refused]

    for merge in taken:
        found = known.find(merge.prior)
        assert found is not None
        assert found == known.find(merge.survivors)
        shown = known.shown(a_patient(identifiers=merge.prior))
        assert not {key_of(one) for one in shown.identifiers} & set(found.merged)


@given(links())
def test_statements_twice_change_nothing(brought: list[list[Statement]]) -> None:
    """A sender that repeats its last words under new control IDs says nothing new."""
    statements = list(chain.from_iterable(brought))
    again = [replace(s, event_id=deterministic_id("again", str(s.event_id))) for s in statements]

    twice = [one for pair in zip(statements, again, strict=True) for one in pair]

    assert _folded(twice).records == _folded(statements).records
