"""Pictures and documents beside the text of a result: in the message (ED), or as an address (RP)."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from overread.contracts.errors import Malformed
from overread.protocols.hl7.data_types import CodedElement, composite
from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.errors import NotRenderable
from overread.protocols.hl7.oru_content import Attachment, Media, OruContent, ResultStatus, TakenBack
from overread.protocols.hl7.oru_layout import Layout
from overread.protocols.hl7.tokenise import Message, Segment

BASE64 = "Base64"
"""ED-4 (table HL70299)."""
IMAGE = ("IM", "JPEG")
PAGE = ("TEXT", "HTML")
"""Type and subtype of what is referred to (tables HL70191 and HL70291)."""
PDF = "PDF"

_NO_MORE = frozenset(word.value for word in TakenBack)


class AttachmentUnfaithful(Malformed):
    """The message does not hold a picture or a document as we write one."""


def observations(content: OruContent, layout: Layout) -> Iterator[tuple[dict[int, str], str]]:
    """Yield the fields of each attachment's OBX but for what every observation carries, and the note that follows it."""
    for attachment in content.attachments:
        code = _codes(layout).get(attachment.media)
        if code is None:
            raise NotRenderable("The receiver has no code for such an attachment (OBX-3).")
        fields = {3: code.write(), 4: escape(attachment.sub_id), **_value(attachment, content, layout)}
        if not attachment.holds and content.status is not ResultStatus.CANCELLED:
            fields[11] = (content.taken_back or TakenBack.DELETED).value
        yield fields, attachment.note


def _codes(layout: Layout) -> Mapping[Media, CodedElement]:
    known = {Media.JPEG: layout.picture, Media.PDF: layout.document}
    return {media: code for media, code in known.items() if code is not None}


def _value(attachment: Attachment, content: OruContent, layout: Layout) -> dict[int, str]:
    """Write ED (2.A.24) or RP (2.A.66); base64 has no character that HL7 would escape, and no line ends here."""
    source = content.sending.application
    if attachment.content:
        data = base64.b64encode(attachment.content).decode("ascii")
        return {2: "ED", 5: composite(source, *_kind(attachment.media, layout), BASE64, data)}
    if attachment.address:
        return {2: "RP", 5: composite(attachment.address, source, *PAGE)}
    return {}


def _kind(media: Media, layout: Layout) -> tuple[str, str]:
    return IMAGE if media is Media.JPEG else (layout.document_type, PDF)


def media_of(segment: Segment, layout: Layout) -> Media | None:
    """Return what an OBX is an attachment of by its identifier; None where it is an observation of another kind."""
    if layout.picture is None and layout.document is None:
        return None
    said = tuple(segment.field(3).component(part).text for part in (1, 3))
    names = {(code.identifier, code.coding_system): media for media, code in _codes(layout).items()}
    return names.get((said[0], said[1]))


def read(message: Message, status: ResultStatus, layout: Layout) -> tuple[Attachment, ...]:
    """Return the attachments of a result of ours, or raise `AttachmentUnfaithful`."""
    notes = {obx.sequence: note.field(3).text for obx, note in notes_in(message)}
    source = message.segments("MSH")[0].field(3).component(1).text
    found = ((media_of(segment, layout), segment) for segment in message.segments("OBX"))
    return tuple(
        _read(segment, media, source, layout, status, notes.get(segment.sequence, ""))
        for media, segment in found
        if media is not None
    )


def notes_in(message: Message) -> Iterator[tuple[Segment, Segment]]:
    """Yield each NTE with the OBX that it follows."""
    obx: Segment | None = None
    for segment in message:
        if segment.name == "OBX":
            obx = segment
        elif segment.name == "NTE" and obx is not None:
            yield obx, segment


def _read(segment: Segment, media: Media, source: str, layout: Layout, status: ResultStatus, note: str) -> Attachment:
    value, sub_id = segment.field(5), segment.field(4).text
    match segment.field(2).text:
        case "ED":
            _require(
                tuple(value.component(part).text for part in (1, 2, 3, 4)), (source, *_kind(media, layout), BASE64)
            )
            attachment = Attachment(media=media, sub_id=sub_id, content=_decoded(value.component(5).raw), note=note)
        case "RP":
            _require(tuple(value.component(part).text for part in (2, 3, 4)), (source, *PAGE))
            attachment = Attachment(media=media, sub_id=sub_id, address=value.component(1).text, note=note)
        case "" if not value:
            attachment = Attachment(media=media, sub_id=sub_id, note=note)
        case _:
            raise AttachmentUnfaithful("An attachment is neither ED nor RP (OBX-2).")
    says_it_holds = segment.field(11).text not in _NO_MORE and status is not ResultStatus.CANCELLED
    if attachment.holds != says_it_holds:
        raise AttachmentUnfaithful("An attachment has another status than its value says (OBX-11).")
    return attachment


def _require(said: tuple[str, ...], meant: tuple[str, ...]) -> None:
    if said != meant:
        raise AttachmentUnfaithful("An attachment says another source, type or encoding than we write (ED, RP).")


def _decoded(raw: bytes) -> bytes:
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error as error:
        raise AttachmentUnfaithful("An attachment is not base64 (ED-5).") from error
