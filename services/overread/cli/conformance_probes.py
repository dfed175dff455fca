"""What is refused, found by asking: messages with one fault each, put before the listener's own rules."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from overread.cli.hl7_verdict import Judge
from overread.contracts.errors import OverreadError
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.conformance_examples import EXAMPLES
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.sentences import key_of
from overread.runtime.settings import ServiceSettings

_OMI, _ORM = EXAMPLES["OMI"][0], EXAMPLES["ORM"][0]
_ADT, _MERGE = EXAMPLES["ADT"][0], EXAMPLES["ADT"][1]
_ORU, _SIU = EXAMPLES["ORU"][0], EXAMPLES["SIU"][0]


class Probe(NamedTuple):
    """One fault, the message that has it, and the link that refuses it."""

    fault: str
    message: bytes
    link: Link = Link()


class Refusal(NamedTuple):
    """What a probe was answered: in original and in enhanced mode, ERR-3, ERR-2, and our key (ERR-5)."""

    fault: str
    original: str
    enhanced: str
    condition: int
    location: str
    key: str


def put(raw: bytes, place: str, value: str) -> bytes:
    """Replace a field of the first segment of a name; ``PID-3``."""
    name, _, number = place.partition("-")
    lines = raw.decode().split("\r")
    at = next(index for index, line in enumerate(lines) if line.startswith(name))
    fields = lines[at].split("|")
    index = int(number) - (name == "MSH")
    fields.extend([""] * (index + 1 - len(fields)))
    fields[index] = value
    lines[at] = "|".join(fields)
    return "\r".join(lines).encode()


def without(raw: bytes, *names: str) -> bytes:
    """Leave out every segment of these names."""
    return "".join(f"{line}\r" for line in raw.decode().split("\r") if line and line[:3] not in names).encode()


PROBES: tuple[Probe, ...] = (
    Probe("a message type that is not in the table", put(_OMI, "MSH-9", "QRY^A19")),
    Probe("a trigger event that is not in the table", put(_OMI, "MSH-9", "OMI^O99")),
    Probe("a processing ID that the link does not take", _OMI, Link(processing_ids=frozenset({"T"}))),
    Probe("a version that the link does not take", put(_OMI, "MSH-12", "2.2")),
    Probe("a sender that the link does not let in", _OMI, Link(allowed_applications=("RIS",))),
    Probe("no control ID", put(_OMI, "MSH-10", "")),
    Probe("no message at all", b"hello"),
    Probe("several messages in one block", _OMI + _OMI),
    Probe("a batch in a block", b"BHS|^~\\&|HIS\r" + _OMI),
    Probe("a part of a message", put(_OMI, "MSH-14", "2")),
    Probe("a sequence number", put(_OMI, "MSH-13", "17")),
    Probe("more bytes than the link takes", _OMI + b"NTE|1||" + b"x" * 2000 + b"\r", Link(maximum_frame_bytes=1024)),
    Probe("a character set that is not taken", put(_OMI, "MSH-18", "KLINGON")),
    Probe("UTF-16 or UTF-32", put(_OMI, "MSH-18", "UNICODE UTF-16")),
    Probe("bytes that are no text in the set of MSH-18", put(_OMI, "MSH-18", "")),
    Probe("an order without PID", without(_OMI, "PID")),
    Probe("a patient without a number", put(_OMI, "PID-3", "")),
    Probe("a date of birth that is none", put(_OMI, "PID-7", "12/05/1999")),
    Probe("an order without ORC", without(_OMI, "ORC", "TQ1", "OBR", "IPC")),
    Probe("an order without OBR", without(_ORM, "OBR", "TQ1", "IPC", "ZDS")),
    Probe("no order control", put(_OMI, "ORC-1", "")),
    Probe("an order control that is not in the table", put(_OMI, "ORC-1", "RF")),
    Probe("a new order without a service", put(_OMI, "OBR-4", "")),
    Probe("no order number at all", put(put(put(put(_ORM, "ORC-2", ""), "ORC-3", ""), "OBR-2", ""), "OBR-3", "")),
    Probe("a number of more than 199 characters", put(_OMI, "ORC-2", "X" * 200)),
    Probe("a name in MSH-3 of more than 227 characters", put(_OMI, "MSH-3", "X" * 228)),
    Probe("a time that is none", put(_OMI, "TQ1-7", "tomorrow")),
    Probe("a result without PID", without(_ORU, "PID")),
    Probe("a result without OBR", without(_ORU, "OBR", "ORC", "OBX")),
    Probe("an appointment without SCH", without(_SIU, "SCH")),
    Probe(
        "an appointment without a number",
        put(put(put(put(_SIU, "SCH-1", ""), "SCH-2", ""), "SCH-26", ""), "SCH-27", ""),
    ),
    Probe("two patients outside a merge", _ADT + without(_ADT, "MSH", "EVN", "PV1")),
    Probe("a merge without MRG", without(_MERGE, "MRG")),
    Probe("a merge into the same number", put(_MERGE, "MRG-1", "BN000123^^^BVX^MR")),
    Probe("a merge without a number that stays", put(_MERGE, "MRG-1", "X1^^^OTHER^PI")),
)
"""In the order of the table."""


def refusals(now: datetime) -> Iterator[Refusal]:
    """Ask the rules about each probe in both modes; `OverreadError` for one that would be taken, since it shows nothing."""
    for probe in PROBES:
        error, original = _judged(probe, "", now)
        _, enhanced = _judged(probe, "AL", now)
        place, key = str(error.location or ""), key_of(error.sentence) or ""
        yield Refusal(probe.fault, original, enhanced, error.condition.value, place, key)


def _judged(probe: Probe, accept: str, now: datetime) -> tuple[HL7Error, str]:
    raw = probe.message if b"MSH|" not in probe.message else put(probe.message, "MSH-15", accept)
    verdict = Judge(probe.link, ServiceSettings())(raw, now)
    if verdict.error is None:
        raise OverreadError(f"{probe.fault}: the listener would take that")
    return verdict.error, verdict.code.value
