from datetime import UTC, datetime, timedelta, timezone

import pytest

from overread.protocols.hl7.timestamps import read_date, read_timestamp, write_date, write_timestamp

HANOI = timezone(timedelta(hours=7))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("20261122100000", datetime(2026, 11, 22, 3, tzinfo=UTC)),
        ("202611221000", datetime(2026, 11, 22, 3, tzinfo=UTC)),
        ("20261122100000.123-0500", datetime(2026, 11, 22, 15, 0, 0, 123000, tzinfo=UTC)),
        ("20261122", datetime(2026, 11, 21, 17, tzinfo=UTC)),
        ("2026", datetime(2025, 12, 31, 17, tzinfo=UTC)),
    ],
)
def test_time_without_offset_is_the_hospitals(text: str, utc: datetime) -> None:
    """An offset in the value wins; the original stays beside UTC."""
    timestamp = read_timestamp(text, HANOI)

    assert (timestamp.utc, timestamp.original) == (utc, text)


@pytest.mark.parametrize("text", ["", "tomorrow", "20261301", "2026112225", "20261122 1000", "00010101", "２０２６"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """No guess about dates (2.A.22)."""
    with pytest.raises(ValueError, match=r"."):
        read_timestamp(text, HANOI)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("19990512", "1999-05-12"),
        ("1955", "1955"),
        ("195504", "1955-04"),
        ("19550000", "1955"),
        ("19550400", "1955-04"),
    ],
)
def test_birth_date_keeps_its_precision(text: str, iso: str) -> None:
    """Many older patients know only the year; some systems then send zeros."""
    assert read_date(text) == iso
    assert write_date(iso) == text.rstrip("0").ljust(4, "0")[: len(write_date(iso))]


@pytest.mark.parametrize("text", ["19550031", "19551340", "1955-04-12", "19990230"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Such a date would match the wrong person or nobody."""
    with pytest.raises(ValueError, match=r"."):
        read_date(text)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 10, 15, 30, tzinfo=HANOI), "20261122101530+0700"),
        (datetime(2026, 11, 22, 10, 15, 30, 7999, tzinfo=HANOI), "20261122101530.007+0700"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(-timedelta(hours=3, minutes=30))), "20260102030405-0330"),
    ],
)
def test_time_is_written_with_its_offset(moment: datetime, text: str) -> None:
    """To the millisecond, with the offset of the hospital."""
    assert write_timestamp(moment) == text


def test_time_without_offset_is_not_written() -> None:
    """A receiver would read it in its own time zone."""
    with pytest.raises(ValueError, match="offset"):
        write_timestamp(datetime(2026, 1, 1))  # noqa: DTZ001 - the fault under test
