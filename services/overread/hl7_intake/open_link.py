"""A link that is open: its intake, its pace, and the connections that are its own now."""

from typing import TYPE_CHECKING

from overread.hl7_intake.intake import Intake
from overread.hl7_intake.pace import Pace
from overread.hl7_intake.settings import Link

if TYPE_CHECKING:
    from overread.hl7_intake.connection import Connection


class OpenLink:
    """One link at all its ports; it stays the same object when its settings change."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.link = intake.link
        self.pace = _pace(intake.link)
        self.connections: set[Connection] = set()

    @property
    def has_room(self) -> bool:
        """Say whether one connection more is taken."""
        return len(self.connections) < self.link.maximum_connections

    def become(self, link: Link) -> None:
        """Follow new settings from now on."""
        self.intake.become(link)
        self.link = link
        self.pace = _pace(link)


def _pace(link: Link) -> Pace | None:
    return None if link.messages_per_second is None else Pace(link.messages_per_second)
