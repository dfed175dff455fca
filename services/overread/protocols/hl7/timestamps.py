"""HL7 date and time (DTM and TS, HL7 v2.5.1 2.A.22 and 2.A.77) to and from aware datetimes."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_DTM = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)"
    r"(?:(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?)?)?)?)?(?P<offset>[+-]\d{4})?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A moment as it was sent, and the same in UTC; what was not sent counts from the start of its period."""

    original: str
    utc: datetime


def read_timestamp(text: str, time_zone: tzinfo) -> Timestamp:
    """Read a DTM; `time_zone` is the hospital's, for values without an offset. ValueError when it is none."""
    if _is_plain(text):
        plain = datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
        return Timestamp(original=text, utc=_to_utc(plain.replace(tzinfo=time_zone)))
    match = _DTM.fullmatch(text)
    if match is None:
        raise ValueError("not an HL7 date and time")
    names = ("month", "day", "hour", "minute", "second")
    month, day, hour, minute, second = (int(match[name] or 0) for name in names)
    fraction = int((match["fraction"] or "0").ljust(6, "0"))
    zone = _offset(match["offset"]) if match["offset"] else time_zone
    local = datetime(int(match["year"]), month or 1, day or 1, hour, minute, second, fraction, zone)
    return Timestamp(original=text, utc=_to_utc(local))


def is_timestamp(text: str, time_zone: tzinfo) -> bool:
    """Whether `read_timestamp` would read it."""
    try:
        if _is_plain(text) and "0001" < text[:4] < "9999":
            datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
        else:
            read_timestamp(text, time_zone)
    except ValueError:
        return False
    return True


def _is_plain(text: str) -> bool:
    """Tell the usual form, to the second and without offset; hour 24 is no hour, whatever ISO 8601 allows."""
    return len(text) == 14 and text.isascii() and text.isdigit() and text[8:10] < "24"


def _to_utc(local: datetime) -> datetime:
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None


def _offset(text: str) -> tzinfo:
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return timezone(-size if text[0] == "-" else size)


def read_date(text: str) -> str:
    """Read a date as ISO 8601 with the precision it has: ``1955``, ``1955-04`` or ``1955-04-12``.

    Where only the year is known, some systems send ``00`` for month and day. ValueError when it is no date.
    """
    if len(text) == 8 and text.isascii() and text.isdigit() and text[6:] != "00":
        return date.fromisoformat(text).isoformat()
    match = _DTM.fullmatch(text)
    if match is None:
        raise ValueError("not an HL7 date")
    month, day = match["month"] or "00", match["day"] or "00"
    if month == "00" and day == "00":
        known: tuple[str, ...] = ()
    else:
        known = (month,) if day == "00" else (month, day)
    first_month, first_day = (*(int(part) for part in known), 1, 1)[:2]
    datetime(int(match["year"]), first_month, first_day, tzinfo=UTC)
    return "-".join((match["year"], *known))


def write_timestamp(moment: datetime) -> str:
    """Write an aware datetime to the millisecond, with its offset."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a time needs its offset")
    iso = moment.isoformat(timespec="milliseconds")
    date_and_time = iso[:4] + iso[5:7] + iso[8:10] + iso[11:13] + iso[14:16] + iso[17:19]
    milliseconds = iso[19:23] if moment.microsecond >= 1000 else ""
    return date_and_time + milliseconds + _written_offset(offset)


@lru_cache(maxsize=64)
def _written_offset(offset: timedelta) -> str:
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{'-' if offset < timedelta() else '+'}{hours:02d}{minutes:02d}"


def write_date(iso_date: str) -> str:
    """Write an ISO 8601 date of any precision as an HL7 date."""
    return iso_date.replace("-", "")
