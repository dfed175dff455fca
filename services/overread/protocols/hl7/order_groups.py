"""The order groups of a message: ORC and what belongs to it (HL7 v2.5.1, 4.4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import Message, Segment


@dataclass(slots=True)
class OrderGroup:
    """ORC and what follows it; `is_shared` when an earlier OBR belongs to the same ORC.

    `z_segments` are the first of each name in the group, else before the first group.
    """

    orc: Segment
    is_shared: bool = False
    tq1: Segment | None = None
    obr: Segment | None = None
    zds: Segment | None = None
    ipcs: list[Segment] = field(default_factory=list)
    z_segments: dict[str, Segment] = field(default_factory=dict)

    def segment(self, name: str, ipc: Segment | None) -> Segment | None:
        """Return the group's segment of that name; its IPC is one of several."""
        named = {"ORC": self.orc, "OBR": self.obr, "IPC": ipc}
        return named.get(name) or self.z_segments.get(name)


def order_groups(message: Message) -> list[OrderGroup]:
    """Return every order group, or raise HL7Error when the message holds no order."""
    groups = list(_groups(message))
    if not groups:
        sentence = "The message holds no order: it has no ORC segment."
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("ORC"), sentence)
    return groups


def _groups(message: Message) -> Iterator[OrderGroup]:
    group: OrderGroup | None = None
    leading: dict[str, Segment] = {}
    for segment in message:
        if segment.name == "ORC":
            if group:
                yield _with(leading, group)
            group = OrderGroup(segment)
        elif group and segment.name == "OBR" and group.obr:
            yield _with(leading, group)
            group = OrderGroup(group.orc, is_shared=True, tq1=group.tq1, obr=segment)
        elif group:
            _add(group, segment)
        elif segment.name.startswith("Z"):
            leading.setdefault(segment.name, segment)
    if group:
        yield _with(leading, group)


def _with(leading: dict[str, Segment], group: OrderGroup) -> OrderGroup:
    group.z_segments = leading | group.z_segments
    return group


def _add(group: OrderGroup, segment: Segment) -> None:
    if segment.name.startswith("Z"):
        group.z_segments.setdefault(segment.name, segment)
    match segment.name:
        case "OBR":
            group.obr = segment
        case "TQ1":
            group.tq1 = group.tq1 or segment
        case "ZDS":
            group.zds = group.zds or segment
        case "IPC":
            group.ipcs.append(segment)
        case _:
            pass  # a receiver ignores what it does not expect (2.8.2)
