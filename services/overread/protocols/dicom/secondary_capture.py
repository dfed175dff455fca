"""The key slice as a picture that any viewer shows, since many show no SR and no SEG (PS3.3, A.8)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from overread.contracts.identifiers import nfc
from overread.protocols.dicom.composite import (
    Device,
    Identity,
    PatientModule,
    Signature,
    SopReference,
    StudyModule,
    new_object,
    patient_said,
    person_name,
    read_patient,
)
from overread.protocols.dicom.content_items import dcm, words
from overread.protocols.dicom.data_elements import (
    Elements,
    elements,
    exact,
    line_of,
    part10,
    read_part10,
    reading,
    text,
)
from overread.protocols.dicom.errors import Unfaithful
from overread.protocols.dicom.key_image import KeyImage
from overread.protocols.dicom.picture import Picture, draw
from overread.protocols.dicom.sr_content import DocumentStatus
from overread.protocols.hl7.oru_content import SYNTHETIC, Language

SOP_CLASS_UID: Final = "1.2.840.10008.5.1.4.1.1.7"
NOT_VERIFIED: Final = "AI, chưa được bác sĩ xác nhận / AI, not verified / IA, non vérifié"
"""What every picture that nobody signed says, in every language at once: it travels further than its site."""

SIGNED: Final[Mapping[Language, str]] = {
    Language.VIETNAMESE: "Đã ký: {name}, {date}",
    Language.ENGLISH: "Signed by {name}, {date}",
    Language.FRENCH: "Signé par {name}, le {date}",
}
CORRECTED: Final[Mapping[Language, str]] = {
    Language.VIETNAMESE: "Đã đính chính và ký: {name}, {date}",
    Language.ENGLISH: "Corrected and signed by {name}, {date}",
    Language.FRENCH: "Corrigé et signé par {name}, le {date}",
}
_SOURCE_IMAGE = dcm("121322", "Source image for image processing operation")
_COMMA: Final = frozenset({Language.VIETNAMESE, Language.FRENCH})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScContent:
    """One picture: the slice, the labels on it, and the findings as lines of text. Nobody's name but the signer's."""

    identity: Identity
    patient: PatientModule
    study: StudyModule
    device: Device
    image: KeyImage
    labels: NDArray[np.uint8] | None
    language: Language
    is_synthetic: bool
    lines: tuple[str, ...]
    signature: Signature | None
    is_correction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScReading:
    """What a picture's header says; the caption is the text that was drawn, the digest is of the pixels."""

    sop_instance_uid: str
    patient: PatientModule
    study_instance_uid: str
    accession_number: str
    source: SopReference
    status: DocumentStatus
    caption: tuple[str, ...]
    pixel_digest: str


def finding_line(display: str, value: str, unit_display: str, language: Language) -> str:
    """Return a finding as people read it; a decimal comma where the language has one."""
    said = value.replace(".", ",") if language in _COMMA else value
    return f"{display}: {said} {unit_display}".strip().rstrip(":")


def render(content: ScContent) -> bytes:
    """Write the picture as a file. Its caption is also in Image Comments, so that it can be read without eyes."""
    made = new_object(
        sop_class_uid=SOP_CLASS_UID,
        modality="OT",
        series_description="AI picture, signed" if content.signature else "AI picture, not verified",
        identity=content.identity,
        patient=content.patient,
        study=content.study,
        device=content.device,
    )
    made.update(_image(content, _drawn(content)))
    return part10(made, sop_class_uid=SOP_CLASS_UID, sop_instance_uid=content.identity.sop_instance_uid)


def _image(content: ScContent, picture: Picture) -> Elements:
    rows, columns, _ = picture.shape
    raw = picture.tobytes()
    source = content.image.reference.sop.item()
    source.update(elements(PurposeOfReferenceCodeSequence=[_SOURCE_IMAGE.item()]))
    return elements(
        ConversionType="WSD",
        SecondaryCaptureDeviceManufacturer=line_of(content.device.manufacturer),
        SecondaryCaptureDeviceManufacturerModelName=line_of(content.device.manufacturer_model_name),
        ImageType=["DERIVED", "SECONDARY"],
        DerivationDescription="Key slice with the findings of an algorithm",
        SourceImageSequence=[source],
        PatientOrientation="",
        Laterality="",
        ImageComments="\r\n".join(caption(content)),
        BurnedInAnnotation="YES",
        LossyImageCompression="00",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        Rows=rows,
        Columns=columns,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=raw + b"\0" * (len(raw) % 2),
    )


def picture(content: ScContent) -> Picture:
    """Return what the object shows, caption and all: for receivers that take a picture and no object."""
    return _drawn(content)


@lru_cache(maxsize=2)
def _drawn(content: ScContent) -> Picture:
    """Draw the picture once for writing it and for saying what was meant."""
    heading = _heading(content)
    return draw(content.image, content.labels, heading, caption(content)[len(heading) :])


def caption(content: ScContent) -> tuple[str, ...]:
    """Return every line that stands in the picture, from above."""
    accession_number = exact(content.study.accession_number)
    accession = (f"Accession {accession_number}",) if accession_number else ()
    return _heading(content) + tuple(_shown(line) for line in (*accession, *content.lines) if _shown(line))


def _heading(content: ScContent) -> tuple[str, ...]:
    synthetic = (_shown(SYNTHETIC[content.language]),) if content.is_synthetic else ()
    return (_status_line(content), *synthetic)


def _status_line(content: ScContent) -> str:
    signature = content.signature
    if signature is None:
        return NOT_VERIFIED
    name = " ".join(person_name(signature.family_name, signature.given_name).split("^"))
    sentence = (CORRECTED if content.is_correction else SIGNED)[content.language]
    return _shown(sentence.format(name=name, date=f"{signature.signed_at:%Y-%m-%d %H:%M}"))


def _shown(line: str) -> str:
    """Return a line as Image Comments keeps it (LT)."""
    return " ".join(nfc(words(line)).split())


def read(raw: bytes) -> ScReading:
    """Read what a rendered picture's header says, or raise `Unfaithful`."""
    found = read_part10(raw, SOP_CLASS_UID)
    with reading():
        return _reading(found)


def _reading(found: Dataset) -> ScReading:
    if text(found, "BurnedInAnnotation") != "YES":
        raise Unfaithful("The picture does not say that text is burnt into it.")
    lines = tuple(text(found, "ImageComments").replace("\r\n", "\n").split("\n"))
    (source,) = found.SourceImageSequence
    return ScReading(
        sop_instance_uid=text(found, "SOPInstanceUID"),
        patient=read_patient(found),
        study_instance_uid=text(found, "StudyInstanceUID"),
        accession_number=text(found, "AccessionNumber"),
        source=SopReference(
            sop_class_uid=text(source, "ReferencedSOPClassUID"),
            sop_instance_uid=text(source, "ReferencedSOPInstanceUID"),
        ),
        status=DocumentStatus.UNVERIFIED if lines[0] == NOT_VERIFIED else DocumentStatus.VERIFIED,
        caption=lines,
        pixel_digest=_digest(found.PixelData[: int(found.Rows) * int(found.Columns) * 3]),
    )


def _digest(pixels: bytes) -> str:
    return hashlib.sha256(pixels).hexdigest()


def said_by(content: ScContent) -> ScReading:
    """Return what a faithful rendering of `content` reads as."""
    return ScReading(
        sop_instance_uid=content.identity.sop_instance_uid,
        patient=patient_said(content.patient),
        study_instance_uid=content.study.study_instance_uid,
        accession_number=exact(content.study.accession_number),
        source=content.image.reference.sop,
        status=DocumentStatus.VERIFIED if content.signature else DocumentStatus.UNVERIFIED,
        caption=caption(content),
        pixel_digest=_digest(_drawn(content).tobytes()),
    )
