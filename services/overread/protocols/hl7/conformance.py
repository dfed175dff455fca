"""Whether a message of ours is one by the standard's own tables, as hl7apy has them: for configuring, not for sending."""

from overread.contracts.errors import OverreadError

LONGEST_STRING = 199


class NotConformant(OverreadError):
    """The message is none by the standard's tables."""


def require_conformance(raw: bytes) -> None:
    """Raise `NotConformant` with hl7apy's word on a message that does not fit the structure and types of its version.

    hl7apy takes every OBX-5 for ST; a text (TX) may be longer (2.A.79), and so may what is in the message itself (ED, whose
    data is TX; 2.A.24.5): its lines and data are cut for this question. Of
    ORM_O01 it wants every branch of a choice at once: the same segments are then judged as those of an OMG^O19.
    """
    # Imported here: its tables cost a second, and nothing that sends needs them.
    from hl7apy.consts import VALIDATION_LEVEL  # noqa: PLC0415
    from hl7apy.exceptions import HL7apyException  # noqa: PLC0415
    from hl7apy.parser import parse_message  # noqa: PLC0415

    judged = raw.decode("utf-8").replace("|ORM^O01^ORM_O01|", "|OMG^O19^OMG_O19|", 1)
    text = "\r".join(_with_short_text(segment) for segment in judged.split("\r"))
    try:
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        raise NotConformant(f"the message is none of v2.5.1 by hl7apy's tables: {error}") from error


def _with_short_text(segment: str) -> str:
    fields = segment.split("|")
    kind = fields[2] if fields[0] == "OBX" else ""
    if kind == "TX":
        fields[5] = "~".join(_cut(line) for line in fields[5].split("~"))
    elif kind == "ED":
        fields[5] = "^".join(part[:LONGEST_STRING] for part in fields[5].split("^"))
    return "|".join(fields)


def _cut(line: str) -> str:
    """Cut a line before an escape sequence that would not be whole."""
    if len(line) <= LONGEST_STRING:
        return line
    cut = line[:LONGEST_STRING]
    return cut.rpartition("\\")[0] if cut.count("\\") % 2 else cut
