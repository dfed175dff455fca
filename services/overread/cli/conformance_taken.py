"""What is taken, as tables: each row is what the code has or says when it is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from overread.cli.conformance_probes import refusals
from overread.hl7_intake.settings import Link
from overread.protocols.hl7 import vietnamese
from overread.protocols.hl7.accession_places import USUAL
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, AcknowledgmentMode, code_for
from overread.protocols.hl7.acknowledgement import wants_accept_acknowledgment as wants
from overread.protocols.hl7.adt import read_patients
from overread.protocols.hl7.charsets import CHARSETS
from overread.protocols.hl7.code_tables import TABLES, meaning
from overread.protocols.hl7.conformance_examples import EXAMPLES
from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.fields_read import fields_read
from overread.protocols.hl7.observation_report import read_observation_reports
from overread.protocols.hl7.order import read_orders
from overread.protocols.hl7.order_controls import CONTROLS, Effect
from overread.protocols.hl7.sentence_table import SENTENCES
from overread.protocols.hl7.siu import read_appointment
from overread.protocols.hl7.tokenise import read_header

_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

READERS: Mapping[str, Callable[..., object]] = {
    "OMI": read_orders,
    "ORM": read_orders,
    "OMG": read_orders,
    "ADT": read_patients,
    "ORU": read_observation_reports,
    "SIU": read_appointment,
}
"""By message code, as `assembly` reads what was taken; a code without a reader fails the test of this statement."""

_EFFECTS: Mapping[Effect, str] = {
    Effect.OPENS: "wanted",
    Effect.TELLS: "as ORC-5 says",
    Effect.CANCELS: "cancelled",
    Effect.STANDS: "wanted after all",
    Effect.HOLDS: "on hold",
    Effect.RELEASES: "no longer on hold",
}
_OF_HEADER = (3, 4, 7, 9, 10, 11, 12, 13, 14, 15, 16, 18)


def taken() -> Iterator[str]:
    """Yield the chapters."""
    for title, headings, rows in _chapters():
        yield f"### {title}"
        yield ""
        yield from table(headings, rows)
        yield ""


def table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _chapters() -> Iterator[tuple[str, Sequence[str], Iterator[Sequence[str]]]]:
    yield "Messages that are taken", ("message", "what it is", "fields that are read"), _messages()
    yield "Versions, processing IDs, character sets", ("field", "taken"), _header()
    yield "Order controls", ("ORC-1", "the order is", "OBR-4"), _controls()
    yield "Answers", ("what came", "original mode", "enhanced mode"), _answers()
    yield "When an answer is given", ("MSH-15", "taken", "refused"), _occasions()
    yield "What is refused", ("fault", "original", "enhanced", "ERR-3", "ERR-2", "ERR-5"), _refusals()
    yield "Sentences of answers", ("ERR-5", "ERR-7"), ((f"`{each.key}`", each.en) for each in SENTENCES)


def _messages() -> Iterator[Sequence[str]]:
    for code, events in TAKEN.items():
        read = fields_read(partial(READERS[code], time_zone=_ZONE), EXAMPLES[code])
        fields = {**read, "MSH": _OF_HEADER}
        named = "; ".join(
            f"{segment}-{', -'.join(map(str, fields[segment]))}" for segment in sorted(fields, key=_place)
        )
        for event in sorted(events):
            said = meaning("HL70003", event) or meaning("HL70076", code)
            yield f"`{code}^{event}`", said, named if event == min(events) else "as above"


def _place(segment: str) -> int:
    order = ("MSH", "EVN", "SCH", "PID", "MRG", "PV1", "ORC", "TQ1", "OBR", "PRT", "ZDS", "IPC", "OBX", "AIS", "AIL")
    return order.index(segment) if segment in order else len(order)


def _header() -> Iterator[Sequence[str]]:
    link = Link()
    yield "MSH-12", ", ".join(sorted(link.versions))
    yield "MSH-11", ", ".join(sorted(link.processing_ids))
    yield (
        "MSH-18",
        "empty (ASCII), " + ", ".join(f"`{name}`" for name in CHARSETS if name.lower() not in vietnamese.NAMES),
    )
    yield "MSH-18 of old Viet Nam, and `fallback_charset`", ", ".join(f"`{name.upper()}`" for name in vietnamese.NAMES)
    yield "accession number, unless the link says otherwise", ", then ".join(USUAL)


def _controls() -> Iterator[Sequence[str]]:
    for code, control in CONTROLS.items():
        known = TABLES["HL70119"].get(code)
        shown = f"`{code}` {known}" if known else f"`{code}`"
        yield shown, _EFFECTS[control.effect], "required" if control.needs_detail else "–"


def _answers() -> Iterator[Sequence[str]]:
    modes = (AcknowledgmentMode.ORIGINAL, AcknowledgmentMode.ENHANCED)
    yield "a message that is kept", *(f"`{code_for(mode)}`" for mode in modes)
    for condition in MessageErrorCondition:
        error = HL7Error(condition, None, "")
        yield f"{condition.value} {condition.text}", *(f"`{code_for(mode, error)}`" for mode in modes)


def _occasions() -> Iterator[Sequence[str]]:
    for accept in ("", *TABLES["HL70155"]):
        header = read_header(f"MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.5.1|||{accept}|NE".encode())
        said = (wants(header, code) for code in (AcknowledgmentCode.CA, AcknowledgmentCode.CE))
        yield (
            f"`{accept}`" if accept else "empty, MSH-16 is not",
            *("answer" if is_wanted else "–" for is_wanted in said),
        )


def _refusals() -> Iterator[Sequence[str]]:
    for each in refusals(_NOW):
        place = f"`{each.location}`" if each.location else "–"
        yield each.fault, f"`{each.original}`", f"`{each.enhanced}`", str(each.condition), place, f"`{each.key}`"
