"""Pictures and the report's page beside an HL7 result: what the receiver gets of them, and what no longer holds."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from overread.contracts.events.reports import ReportDocument
from overread.delivery import report_page
from overread.delivery.destinations import Hl7Destination
from overread.delivery.stated_marks import stated
from overread.delivery.telling import Telling
from overread.delivery.templates import Attach, Attachments, OverCap
from overread.protocols.hl7.oru_content import Attachment, Language, Media

if TYPE_CHECKING:
    from overread.protocols.dicom.picture import Picture

TOO_LARGE = {
    Language.VIETNAMESE: "Tệp lớn hơn giới hạn của nơi nhận: xem tại địa chỉ này, sau khi đăng nhập.",
    Language.ENGLISH: "Larger than the receiver takes: seen at this address, after a sign-in.",
    Language.FRENCH: "Plus grand que ce que le destinataire accepte : à voir à cette adresse, après connexion.",
}


def attachments_of(telling: Telling[Hl7Destination]) -> tuple[Attachment, ...]:
    """Return what stands beside the text, then what the receiver was told of before and that holds no more."""
    if telling.destination.attachments.attach is Attach.NONE:
        return ()
    held = () if telling.status.takes_back else tuple(_held(telling))
    names = {(attachment.media, attachment.sub_id) for attachment in held}
    gone = (Attachment(media=media, sub_id=sub_id) for media, sub_id in _told(telling) if (media, sub_id) not in names)
    return (*held, *gone)


def unlike(said: Sequence[Attachment], telling: Telling[Hl7Destination]) -> Iterator[str]:
    """Name what the message holds otherwise than it is made of the report: bytes by bytes, and each picture as drawn."""
    if tuple(said) != attachments_of(telling):
        yield "attachments"
    shown = [attachment for attachment in said if attachment.content and attachment.media is Media.JPEG]
    drawn = _drawn_by_number(telling) if shown else {}
    if any(attachment.sub_id not in drawn for attachment in shown):
        yield "pictures"
        return
    for attachment in shown:
        from overread.protocols.dicom.picture import shows  # noqa: PLC0415 - image libraries cost a second

        if not shows(attachment.content, drawn[attachment.sub_id]):
            yield "pictures"


def _held(telling: Telling[Hl7Destination]) -> Iterator[Attachment]:
    settings = telling.destination.attachments
    for media in settings.what:
        if settings.attach is Attach.POINTER:
            yield from (_pointer(media, sub_id, telling) for sub_id in _numbers(media, telling.document))
            continue
        for sub_id, content in _contents(media, telling):
            made = Attachment(media=media, sub_id=sub_id, content=content)
            yield from _within_the_cap(made, settings, telling)


def _within_the_cap(made: Attachment, settings: Attachments, telling: Telling[Hl7Destination]) -> Iterator[Attachment]:
    if len(made.content) <= settings.largest_bytes:
        yield made
    elif settings.over_cap is OverCap.POINTER:
        yield _pointer(made.media, made.sub_id, telling, note=TOO_LARGE[telling.language])


def _pointer(media: Media, sub_id: str, telling: Telling[Hl7Destination], note: str = "") -> Attachment:
    """Name the case's page: who opens it signs in there, and the address names no person."""
    address = f"{telling.destination.attachments.page_url}/case/{telling.document.case_id}"
    return Attachment(media=media, sub_id=sub_id, address=address, note=note)


def _numbers(media: Media, document: ReportDocument) -> tuple[str, ...]:
    """Return the sub-IDs: a picture for each thing that a model marked and the report states, one page."""
    count = len(stated(document)) if media is Media.JPEG else 1
    return tuple(str(number) for number in range(1, count + 1))


def _told(telling: Telling[Hl7Destination]) -> Iterator[tuple[Media, str]]:
    """Yield what the receiver may have been told of: by the document before, and by this one where it is taken back."""
    own = [telling.document] if telling.status.takes_back else []
    documents = [document for document in (telling.previous, *own) if document is not None]
    for media in telling.destination.attachments.what:
        yield from dict.fromkeys((media, sub_id) for document in documents for sub_id in _numbers(media, document))


def _contents(media: Media, telling: Telling[Hl7Destination]) -> Iterator[tuple[str, bytes]]:
    if media is Media.PDF:
        yield "1", report_page.pdf_of(telling)
        return
    for sub_id, picture in _drawn_by_number(telling).items():
        from overread.protocols.dicom.picture import as_jpeg  # noqa: PLC0415 - image libraries cost a second

        yield sub_id, as_jpeg(picture)


def _drawn_by_number(telling: Telling[Hl7Destination]) -> "dict[str, Picture]":
    """Draw each key image as the archive gets it, its caption in it: who signed it, or that nobody has."""
    if telling.imaging is None or telling.status.takes_back:
        return {}
    from overread.delivery.dicom_forms import capture_of  # noqa: PLC0415 - image libraries cost a second
    from overread.protocols.dicom.secondary_capture import picture  # noqa: PLC0415

    imaging = telling.imaging
    drawn = (picture(capture_of(telling, imaging, marked)) for marked in imaging.segmentations)
    return {str(number): each for number, each in enumerate(drawn, 1)}
