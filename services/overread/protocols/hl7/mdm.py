"""A signed report as a document: MDM^T02, or MDM^T10 where it replaces one (HL7 v2.5.1, 9.6.2 and 9.6.10).

What it says is what an ORU^R01 says, in the same segments; around them stand EVN and TXA.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from overread.protocols.hl7.data_types import EntityIdentifier, Practitioner, join
from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.errors import NotRenderable
from overread.protocols.hl7.oru import encoded, msh, obr, order_numbers, pid, pv1, results, segment, tq1
from overread.protocols.hl7.oru_content import OruContent, check
from overread.protocols.hl7.oru_layout import USUAL, Layout
from overread.protocols.hl7.oru_reading import Unfaithful, only, read_result, required_time
from overread.protocols.hl7.timestamps import write_timestamp
from overread.protocols.hl7.tokenise import Message, tokenise

ORIGINAL, REPLACEMENT = "MDM^T02^MDM_T02", "MDM^T10^MDM_T02"
DIAGNOSTIC_IMAGING, TEXT, LEGALLY_AUTHENTICATED, AVAILABLE = "DI", "TX", "LA", "AV"
"""TXA-2, -3, -17 and -19 (tables HL70270, HL70191, HL70271, HL70273)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentContent:
    """What one document message says: the result, its own number (TXA-12), and that of the one it replaces (TXA-13)."""

    result: OruContent
    document_number: EntityIdentifier
    replaces: EntityIdentifier | None = None


def render(content: DocumentContent, layout: Layout = USUAL) -> bytes:
    """Write the message in UTF-8; `NotRenderable` for a result that nobody has signed, which is no document."""
    result = content.result
    check(result)
    if not result.status.is_signed or result.signer is None:
        raise NotRenderable("A result that no clinician has signed is no document.")
    message_type = REPLACEMENT if content.replaces else ORIGINAL
    before = [msh(result, message_type), segment("EVN", {2: write_timestamp(result.message_datetime)}), pid(result)]
    order = [*_pv1(result), _orc(result), *tq1(result), obr(result, layout)]
    return encoded([*before, *order, _txa(content, result.signer), *results(result, layout)])


def _pv1(result: OruContent) -> Iterator[str]:
    """PV1 is required here; where no visit is known its class is unknown (table HL70004)."""
    yield from (pv1(result) if result.visit else [segment("PV1", {1: "1", 2: "U"})])


def _orc(result: OruContent) -> str:
    return segment("ORC", {1: "RE", **order_numbers(result), 5: "CM"})


def _txa(content: DocumentContent, signer: Practitioner) -> str:
    result = content.result
    said_at, person, numbers = write_timestamp(result.status_changed_at), signer.write(), order_numbers(result)
    fields = {
        1: "1",
        2: DIAGNOSTIC_IMAGING,
        3: TEXT,
        4: said_at,
        5: person,
        6: said_at,
        9: person,
        12: content.document_number.write(),
        13: content.replaces.write() if content.replaces else "",
        14: numbers[2],
        15: numbers[3],
        17: LEGALLY_AUTHENTICATED,
        19: AVAILABLE,
        22: join(*(escape(part) for part in _parts(signer)), *[""] * 11, said_at),
    }
    return segment("TXA", fields)


def _parts(signer: Practitioner) -> tuple[str, str, str]:
    """PPN-1 to PPN-3; PPN-15 is when the person acted (2.A.55)."""
    return signer.id_number, signer.family_name, signer.given_name


def read_back(raw: bytes, layout: Layout = USUAL) -> DocumentContent:
    """Read what a rendered document says; equal to what was rendered, or the rendering is wrong."""
    message = tokenise(raw)
    txa, result = only(message, "TXA"), read_result(message, layout)
    _require_own_words(message, result)
    number, replaces = EntityIdentifier.read(txa.field(12)), EntityIdentifier.read(txa.field(13))
    expected = REPLACEMENT if replaces else ORIGINAL
    if number is None or only(message, "MSH").field(9).raw.decode() != expected:
        raise Unfaithful("The document has no number, or its event is not that of its TXA-13.")
    return DocumentContent(result=result, document_number=number, replaces=replaces)


def _require_own_words(message: Message, result: OruContent) -> None:
    txa, evn = only(message, "TXA"), only(message, "EVN")
    words = tuple(txa.field(number).text for number in (2, 3, 17, 19))
    if words != (DIAGNOSTIC_IMAGING, TEXT, LEGALLY_AUTHENTICATED, AVAILABLE):
        raise Unfaithful("The document says another state of itself than a signed one has (TXA-2, -3, -17, -19).")
    for number in (5, 9, 22):
        if Practitioner.read(txa.field(number)) != result.signer:
            raise Unfaithful("The document names another person than the signer (TXA-5, -9, -22).")
    times = {required_time(value) for value in (txa.field(4), txa.field(6), txa.field(22).component(15))}
    if times != {result.status_changed_at} or required_time(evn.field(2)) != result.message_datetime:
        raise Unfaithful("The document has another time than its result (EVN-2, TXA-4, -6, -22).")
    if (txa.field(14).raw, txa.field(15).raw) != tuple(only(message, "OBR").field(number).raw for number in (2, 3)):
        raise Unfaithful("The document answers another order than its result (TXA-14, -15).")
