"""The three ways in which work can go wrong; `runtime` answers each of them in its own way (ADR 0003)."""


class OverreadError(Exception):
    """Something in Overread could not be done; the message says what and what to do next, never who the patient is."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Malformed(OverreadError):
    """The input can never work, however often it is tried: it goes to the dead letter with this reason."""


class Unavailable(OverreadError):
    """A dependency is away for the moment: consumption pauses, nothing is dead-lettered, and it is tried again."""
