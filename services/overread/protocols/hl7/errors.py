"""What can be wrong with an HL7 message, in the words of table HL70357."""

from dataclasses import dataclass
from enum import IntEnum

from overread.contracts.errors import Malformed


class MessageErrorCondition(IntEnum):
    """Message error condition codes (HL7 table 0357)."""

    SEGMENT_SEQUENCE_ERROR = 100
    REQUIRED_FIELD_MISSING = 101
    DATA_TYPE_ERROR = 102
    TABLE_VALUE_NOT_FOUND = 103
    UNSUPPORTED_MESSAGE_TYPE = 200
    UNSUPPORTED_EVENT_CODE = 201
    UNSUPPORTED_PROCESSING_ID = 202
    UNSUPPORTED_VERSION_ID = 203
    UNKNOWN_KEY_IDENTIFIER = 204
    DUPLICATE_KEY_IDENTIFIER = 205
    APPLICATION_RECORD_LOCKED = 206
    APPLICATION_INTERNAL_ERROR = 207

    @property
    def text(self) -> str:
        """The table's own wording, for ERR-3.2."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """Where in a message an error stands (ERL data type, HL7 v2.5.1 2.A.28)."""

    segment_id: str
    segment_sequence: int = 1
    field_position: int | None = None
    field_repetition: int | None = None
    component_number: int | None = None

    def components(self) -> tuple[str, ...]:
        """List the parts of ERR-2 in order; trailing empty ones are left out."""
        parts = (self.field_position, self.field_repetition, self.component_number)
        texts = ["" if part is None else str(part) for part in parts]
        while texts and not texts[-1]:
            texts.pop()
        return (self.segment_id, str(self.segment_sequence), *texts)

    @property
    def spoken(self) -> str:
        """Write the place as people do: ``PID-3``, ``OBX(2)-5.1``."""
        again = f"({self.segment_sequence})" if self.segment_sequence > 1 else ""
        field = f"-{self.field_position}" if self.field_position else ""
        component = f".{self.component_number}" if field and self.component_number else ""
        return f"{self.segment_id}{again}{field}{component}"

    def __str__(self) -> str:
        return "^".join(self.components())


class HL7Error(Malformed):
    """The message breaks a rule of HL7 v2.

    Carries what an ERR segment needs; the sentence names fields, never their content. It is in English, and one of
    `sentence_table`, which has it in the other languages.
    """

    def __init__(self, condition: MessageErrorCondition, location: ErrorLocation | None, sentence: str) -> None:
        super().__init__(sentence)
        self.condition = condition
        self.location = location
        self.sentence = sentence


class NotRenderable(Malformed):
    """The content can't be said in an HL7 message without breaking one of its rules."""
