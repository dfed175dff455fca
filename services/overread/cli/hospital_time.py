"""Moments as the command line prints them: in the hospital's time, as the page and the hospital's own systems do."""

from datetime import datetime

from overread.runtime.settings import ServiceSettings

NEVER = "–"


def local(moment: datetime) -> datetime:
    """Return the moment in the hospital's time zone (OVERREAD_HOSPITAL_TIME_ZONE)."""
    return moment.astimezone(ServiceSettings().time_zone)


def said(moment: str | None, timespec: str = "seconds") -> str:
    """Return an ISO 8601 moment in the hospital's time; without an offset it is that already, and what is none stays."""
    if not moment:
        return NEVER
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:  # a scanner's own words for a time
        return moment
    return (local(at) if at.tzinfo else at).replace(tzinfo=None).isoformat(" ", timespec)
