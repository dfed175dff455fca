"""A link that is open: its intake, its pace, and the connections that are its own now."""

import contextlib
from typing import TYPE_CHECKING

from overread.hl7_intake.intake import Intake
from overread.hl7_intake.pace import Pace
from overread.hl7_intake.settings import Link
from overread.runtime.telemetry import HL7_CONNECTIONS

if TYPE_CHECKING:
    from overread.hl7_intake.connection import Connection


class OpenLink:
    """One link at all its ports; it stays the same object when its settings change."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.link = intake.link
        self.pace = _pace(intake.link)
        self.connections: set[Connection] = set()
        HL7_CONNECTIONS.labels(intake.link.link_id).set_function(lambda: len(self.connections))

    @property
    def has_room(self) -> bool:
        """Say whether one connection more is taken."""
        return len(self.connections) < self.link.maximum_connections

    def close(self) -> None:
        """Count no connections any more: the link is gone."""
        with contextlib.suppress(KeyError):
            HL7_CONNECTIONS.remove(self.link.link_id)

    def become(self, link: Link) -> None:
        """Follow new settings from now on."""
        self.intake.become(link)
        self.link = link
        self.pace = _pace(link)


def _pace(link: Link) -> Pace | None:
    return None if link.messages_per_second is None else Pace(link.messages_per_second)
