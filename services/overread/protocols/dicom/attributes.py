"""What the header of an instance says, and the Part 10 header that makes its data set a file (PS3.3, PS3.10)."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from overread.contracts.errors import Malformed
from overread.contracts.events.intake import InstanceAttributes
from overread.contracts.identifiers import parse_uid
from overread.protocols.dicom.sop_classes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PAPYRUS_3_IMPLICIT_VR_LITTLE_ENDIAN,
)
from overread.protocols.dicom.upper_layer import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from overread.protocols.dicom.values import HeaderValues

_TAGS: Final[dict[str, int]] = {
    "SpecificCharacterSet": 0x00080005,
    "ImageType": 0x00080008,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "StudyDate": 0x00080020,
    "StudyTime": 0x00080030,
    "AccessionNumber": 0x00080050,
    "Modality": 0x00080060,
    "Manufacturer": 0x00080070,
    "ReferringPhysicianName": 0x00080090,
    "TimezoneOffsetFromUTC": 0x00080201,
    "StationName": 0x00081010,
    "StudyDescription": 0x00081030,
    "SeriesDescription": 0x0008103E,
    "ManufacturerModelName": 0x00081090,
    "PatientName": 0x00100010,
    "PatientID": 0x00100020,
    "IssuerOfPatientID": 0x00100021,
    "PatientBirthDate": 0x00100030,
    "PatientSex": 0x00100040,
    "PatientAge": 0x00101010,
    "ContrastBolusAgent": 0x00180010,
    "BodyPartExamined": 0x00180015,
    "MRAcquisitionType": 0x00180023,
    "SequenceName": 0x00180024,
    "SliceThickness": 0x00180050,
    "KVP": 0x00180060,
    "RepetitionTime": 0x00180080,
    "EchoTime": 0x00180081,
    "ProtocolName": 0x00181030,
    "GantryDetectorTilt": 0x00181120,
    "ConvolutionKernel": 0x00181210,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SeriesNumber": 0x00200011,
    "InstanceNumber": 0x00200013,
    "ImagePositionPatient": 0x00200032,
    "ImageOrientationPatient": 0x00200037,
    "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010,
    "Columns": 0x00280011,
    "PixelSpacing": 0x00280030,
    "QualityControlImage": 0x00280300,
    "BurnedInAnnotation": 0x00280301,
}
_SPECIFIC_TAGS: Final[list[BaseTag | int]] = list(_TAGS.values())
_LAST_TAG: Final = max(_TAGS.values())
# What pydicom raises on bytes that are no data set is written down nowhere; the fuzzing test found these.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OSError,
    EOFError,
    LookupError,
    RecursionError,
    struct.error,
)
_HEAD_BYTES: Final = 1 << 17  # where nearly every header ends
_MAXIMUM_INFLATED_HEADER: Final = 1 << 26
_MAXIMUM_READS: Final = 300_000  # several for each element, nested ones too; ten thousand references need a third
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_IMPLICIT: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, PAPYRUS_3_IMPLICIT_VR_LITTLE_ENDIAN})
_WITH_32_BIT_LENGTH: Final = frozenset({b"OB"})
_PREAMBLE: Final = bytes(128) + b"DICM"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHeader:
    """Which instance a data set is, and what its header says about it.

    `undecodable` names the attributes whose value broke its VR or its character set; they are absent in `attributes`.
    """

    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    attributes: InstanceAttributes
    undecodable: tuple[str, ...]


def read_header(
    fragments: Sequence[bytes], transfer_syntax_uid: str, *, fallback_charset: str = "ISO_IR 192"
) -> InstanceHeader:
    """Return what the data set in `fragments` says of itself, read no further than (0028,0301).

    `fallback_charset` decodes text without a Specific Character Set beyond ASCII (PS3.3, C.12.1.1.2).
    """
    byte_order: Literal["big", "little"] = "big" if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "little"
    elements = _elements(fragments, transfer_syntax_uid)
    values = HeaderValues(elements, _TAGS, byte_order=byte_order, fallback_charset=fallback_charset)
    study, series, instance, sop_class = (
        _required_uid(values, keyword)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    )
    attributes = _attributes(values, series)
    return InstanceHeader(
        study_instance_uid=study,
        sop_instance_uid=instance,
        sop_class_uid=sop_class,
        attributes=attributes,
        undecodable=tuple(values.undecodable),
    )


def part10_header(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae_title: str = ""
) -> bytes:
    """Return preamble and File Meta Information; the data set as received, put behind it, is a file (PS3.10, 7.1)."""
    elements = (
        (0x0001, b"OB", b"\x00\x01"),
        (0x0002, b"UI", _padded(sop_class_uid, b"\0")),
        (0x0003, b"UI", _padded(sop_instance_uid, b"\0")),
        (0x0010, b"UI", _padded(transfer_syntax_uid, b"\0")),
        (0x0012, b"UI", _padded(IMPLEMENTATION_CLASS_UID, b"\0")),
        (0x0013, b"SH", _padded(IMPLEMENTATION_VERSION_NAME, b" ")),
        (0x0016, b"AE", _padded(calling_ae_title, b" ")),
    )
    body = b"".join(_meta_element(*element) for element in elements if element[2])
    return _PREAMBLE + _meta_element(0x0000, b"UL", len(body).to_bytes(4, "little")) + body


def _padded(value: str, padding: bytes) -> bytes:
    raw = value.encode("ascii")
    return raw + padding * (len(raw) % 2)


def _meta_element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _WITH_32_BIT_LENGTH:
        length = bytes(2) + len(value).to_bytes(4, "little")
    else:
        length = len(value).to_bytes(2, "little")
    return b"\x02\x00" + element.to_bytes(2, "little") + vr + length + value


def _required_uid(values: HeaderValues, keyword: str) -> str:
    value = values.text(keyword)
    if not value:
        raise Malformed(f"the data set has no {keyword}")
    try:
        return parse_uid(value)
    except Malformed as error:
        raise Malformed(f"{keyword} of the data set is no UID") from error


def _attributes(values: HeaderValues, series_instance_uid: str) -> InstanceAttributes:
    return InstanceAttributes(
        series_instance_uid=series_instance_uid,
        accession_number=values.text("AccessionNumber"),
        patient_id=values.text("PatientID"),
        issuer_of_patient_id=values.text("IssuerOfPatientID"),
        patient_name=values.person_name("PatientName"),
        patient_birth_date=values.date("PatientBirthDate"),
        patient_sex=values.text("PatientSex"),
        patient_age_years=values.age_in_years(),
        modality=values.text("Modality"),
        series_number=values.integer("SeriesNumber"),
        instance_number=values.integer("InstanceNumber"),
        study_description=values.text("StudyDescription"),
        series_description=values.text("SeriesDescription"),
        study_date_time=values.study_date_time(),
        body_part_examined=values.text("BodyPartExamined"),
        image_type=values.texts("ImageType"),
        rows=values.unsigned("Rows"),
        columns=values.unsigned("Columns"),
        number_of_frames=values.integer("NumberOfFrames"),
        pixel_spacing=values.pair("PixelSpacing"),
        slice_thickness=values.decimal("SliceThickness"),
        image_position_patient=values.triple("ImagePositionPatient"),
        image_orientation_patient=values.sextuple("ImageOrientationPatient"),
        convolution_kernel=values.texts("ConvolutionKernel"),
        kvp=values.decimal("KVP"),
        contrast_bolus_agent=values.text("ContrastBolusAgent"),
        gantry_detector_tilt=values.decimal("GantryDetectorTilt"),
        manufacturer=values.text("Manufacturer"),
        manufacturer_model_name=values.text("ManufacturerModelName"),
        station_name=values.text("StationName"),
        burned_in_annotation=values.text("BurnedInAnnotation"),
        quality_control_image=values.text("QualityControlImage"),
        referring_physician_name=values.person_name("ReferringPhysicianName"),
        protocol_name=values.text("ProtocolName"),
        sequence_name=values.text("SequenceName"),
        mr_acquisition_type=values.text("MRAcquisitionType"),
        repetition_time=values.decimal("RepetitionTime"),
        echo_time=values.decimal("EchoTime"),
    )


def _elements(fragments: Sequence[bytes], transfer_syntax_uid: str) -> dict[int, bytes]:
    """Return the raw values of the header; only if the head does not hold all of it the rest is read too."""
    for data, is_whole in _readings(fragments, transfer_syntax_uid):
        elements = _parsed(data, transfer_syntax_uid, is_whole=is_whole)
        if elements is not None:
            return elements
    raise Malformed("the data set ends too early or is not in its transfer syntax")


def _readings(fragments: Sequence[bytes], transfer_syntax_uid: str) -> Iterator[tuple[bytes, bool]]:
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflated = b"".join(fragments)
        yield from (_inflated(deflated, limit) for limit in (_HEAD_BYTES, _MAXIMUM_INFLATED_HEADER))
        return
    count, size = 0, 0
    while count < len(fragments) and size < _HEAD_BYTES:
        size += len(fragments[count])
        count += 1
    yield b"".join(fragments[:count]), count == len(fragments)
    if count < len(fragments):
        yield b"".join(fragments), True


def _inflated(deflated: bytes, limit: int) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(deflated, limit), inflater.eof
    except zlib.error as error:
        raise Malformed("the data set can't be inflated") from error


class _BoundedReads(io.BytesIO):
    """Bytes that end after so many reads that no header needs them: a hostile one must not hold up the intake."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAXIMUM_READS:
            raise EOFError
        return super().read(size)


def _parsed(data: bytes, transfer_syntax_uid: str, *, is_whole: bool) -> dict[int, bytes] | None:
    """Return the raw values of the header, None when `data` breaks off before its end or is no data set."""
    stream, has_passed = _BoundedReads(data), False

    def is_behind_the_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal has_passed
        has_passed = int(tag) > _LAST_TAG
        return has_passed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they could quote a value
            found = list(
                data_element_generator(
                    stream,
                    is_implicit_VR=transfer_syntax_uid in _IMPLICIT,
                    is_little_endian=transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN,
                    stop_when=is_behind_the_header,
                    specific_tags=_SPECIFIC_TAGS,
                )
            )
    except _UNREADABLE:
        return None
    raw = [item for item in found if isinstance(item, RawDataElement)]
    ends_well = is_whole and stream.tell() == len(data) and not any(_is_cut_off(item) for item in raw)
    return {int(item.tag): item.value or b"" for item in raw} if has_passed or ends_well else None


def _is_cut_off(element: RawDataElement) -> bool:
    return element.length not in {len(element.value or b""), _UNDEFINED_LENGTH}
