"""Numbers that name things are kept and looked up by: one that is longer than the standard lets it be is refused.

The longest of their parts is the entity identifier, of 199 characters (EI.1, HL7 v2.5.1, 2.A.28); senders that write longer
ones than their own type allows (CX.1 has 15, SCH-1 75 in all) are common, and are taken as far as that.
"""

from collections.abc import Iterator, Mapping

from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import Message, Value

MOST_CHARACTERS = 199
_MOST_COMPONENTS = 12

NAMING_FIELDS: Mapping[str, tuple[int, ...]] = {
    "PID": (3,),
    "MRG": (1, 2, 3),
    "PV1": (19,),
    "ORC": (2, 3, 8),
    "OBR": (2, 3, 18, 19, 20, 21, 29),
    "OBX": (4,),
    "IPC": (1, 2, 3),
    "SCH": (1, 2, 26, 27),
}
"""The fields, by segment, whose parts name a patient, an order, an exam, a result or an appointment."""


def check_numbers(message: Message) -> None:
    """Raise the error at the first number that is longer than a number may be."""
    for segment in message:
        for field in NAMING_FIELDS.get(segment.name, ()):
            value = segment.field(field)
            if len(value.raw) > MOST_CHARACTERS and any(len(part) > MOST_CHARACTERS for part in _parts(value)):
                where, most = segment.location(field), MOST_CHARACTERS
                sentence = f"A number in {where.spoken} is longer than {most} characters: nothing could be found by it."
                raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, where, sentence)


def _parts(value: Value) -> Iterator[str]:
    for repetition in value.repetitions:
        yield from repetition.texts(_MOST_COMPONENTS)
