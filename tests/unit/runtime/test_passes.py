"""A service behind the front believes its pass, and nothing else."""

from datetime import timedelta

import pytest

from overread.runtime.passes import PASS_LIFE, Visitor, issue, visitor_of
from tests.builders.events import NOON

SECRET = b"a secret of both sides"
A_READER = Visitor(subject="dr.test", site_id="site", roles=frozenset({"radiologist"}))


def test_pass_says_who_asks() -> None:
    """What the front found is what the service behind is told."""
    token = issue(A_READER, audience="dicomweb", secret=SECRET, now=NOON)

    assert visitor_of(token, audience="dicomweb", secret=SECRET, now=NOON) == A_READER


@pytest.mark.parametrize(
    "judged",
    [
        {"secret": b"another secret"},
        {"audience": "ops"},
        {"now": NOON + PASS_LIFE + timedelta(seconds=10)},
    ],
)
def test_pass_of_another_is_not_believed(judged: dict[str, object]) -> None:
    """Another's secret, another service's pass, an old one."""
    token = issue(A_READER, audience="dicomweb", secret=SECRET, now=NOON)

    assert visitor_of(token, **({"audience": "dicomweb", "secret": SECRET, "now": NOON} | judged)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."])
def test_what_is_no_pass_is_not_believed(token: str) -> None:
    """Also a token that says it needs no signature."""
    assert visitor_of(token, audience="dicomweb", secret=SECRET, now=NOON) is None
