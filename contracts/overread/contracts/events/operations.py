"""What an operator asks of a running system."""

from pydantic import AwareDatetime

from overread.contracts.envelope import Body


class ReplayRequested(Body):
    """A dead letter is to be taken once more by `consumer`, the service that set it aside.

    It names only where the letter lies: the service reads the letter itself, so who asks for a replay can change no
    byte of it and needs no right to write the topic that it came from.
    """

    consumer: str
    dead_topic: str
    partition: int
    offset: int
    requested_by: str
    requested_at: AwareDatetime
