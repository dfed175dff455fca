"""A valid DICOM object or association in one line, a fault by keyword. Every identity is synthetic."""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from uuid import NAMESPACE_OID, uuid5

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
PAPYRUS_3 = "1.2.840.10008.1.20"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
PRIVATE_STORAGE = "1.3.6.1.4.1.5962.301.9"

NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        PAPYRUS_3,
    }
)

# The same name in UTF-8 and, in Japanese, by code extensions (the standard's own example, PS3.5, H.3.1).
VIETNAMESE_NAME = "THỬ NGHIỆM^NGUYỄN VĂN"
ISO_2022_NAME = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"


def a_uid(name: str) -> str:
    """The same name gives the same UID."""
    return f"2.25.{uuid5(NAMESPACE_OID, name).int}"


def a_ct_slice(
    *,
    study: str = "study",
    series: str = "series",
    number: int = 1,
    rows: int = 8,
    modality: str = "CT",
    without: str | Iterable[str] = (),
    **attributes: object,
) -> Dataset:
    """One axial slice; `attributes` replace by keyword, `without` leaves out."""
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = a_uid(f"{study}/{series}/{number}")
    dataset.StudyDate, dataset.StudyTime = "20250203", "101112"
    dataset.AccessionNumber = f"ACC-{study}"[:16]
    dataset.Modality = modality
    dataset.Manufacturer = "TEST MAKER"
    dataset.ReferringPhysicianName = "TEST^PHYSICIAN"
    dataset.StationName = "TESTCT1"
    dataset.StudyDescription, dataset.SeriesDescription = "Chest", "Axial soft"
    dataset.ManufacturerModelName = "TEST MODEL"
    dataset.PatientName, dataset.PatientID = "TEST^PATIENT", "TEST-0001"
    dataset.IssuerOfPatientID = "TESTHOSPITAL"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600304", "F", "064Y"
    dataset.BodyPartExamined = "CHEST"
    dataset.SliceThickness, dataset.KVP = "2.5", "120"
    dataset.GantryDetectorTilt, dataset.ConvolutionKernel = "0", "STANDARD"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = a_uid(study), a_uid(f"{study}/{series}")
    dataset.SeriesNumber, dataset.InstanceNumber = 3, number
    dataset.ImagePositionPatient = ["-100", "-100", str(2.5 * number)]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = rows
    dataset.PixelSpacing = ["0.7", "0.7"]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.BurnedInAnnotation = "NO"
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.PixelData = bytes((number + position) % 251 for position in range(256)) * (rows * rows * 2 // 256 + 1)
    dataset.PixelData = dataset.PixelData[: rows * rows * 2]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    for keyword in [without] if isinstance(without, str) else without:
        delattr(dataset, keyword)
    return dataset


def a_study(
    *, study: str = "study", series: int = 2, slices: int = 3, modality: str = "CT", rows: int = 8
) -> list[Dataset]:
    """A study of some series with some slices each."""
    return [
        a_ct_slice(study=study, series=f"series{one}", number=number, modality=modality, rows=rows)
        for one in range(1, series + 1)
        for number in range(1, slices + 1)
    ]


def encoded(dataset: Dataset, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """The bytes of the data set alone; pixels of compressed syntaxes are encapsulated, not decodable."""
    copy = Dataset(dataset)
    if transfer_syntax not in NATIVE and "PixelData" in copy:
        copy.PixelData = encapsulate([bytes(copy.PixelData)])
        copy["PixelData"].VR = "OB"
        copy["PixelData"].is_undefined_length = True
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax != EXPLICIT_VR_BIG_ENDIAN
    buffer.is_implicit_VR = transfer_syntax in {IMPLICIT_VR_LITTLE_ENDIAN, PAPYRUS_3}
    write_dataset(buffer, copy)
    raw: bytes = buffer.getvalue()
    return deflated(raw) if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN else raw


def deflated(raw: bytes) -> bytes:
    """`raw` as a deflated data set, padded to even length (PS3.5, A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    out = compressor.compress(raw) + compressor.flush()
    return out + b"\0" * (len(out) % 2)


def an_iso_2022_slice() -> bytes:
    """A data set whose name changes its character set by escape sequences."""
    dataset = a_ct_slice(SpecificCharacterSet=["", "ISO 2022 IR 87"])
    marker = b"TEST^PATIENT"
    raw = encoded(dataset)
    name = ISO_2022_NAME + b" " * (len(ISO_2022_NAME) % 2)
    return raw.replace(b"PN" + struct.pack("<H", len(marker)) + marker, b"PN" + struct.pack("<H", len(name)) + name)


def cut(data: bytes, size: int) -> list[bytes]:
    """`data` in pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


# --- the requestor's side of PS3.8, written apart from the code under test -------------------------------------


def a_pdu(kind: int, body: bytes) -> bytes:
    """Any PDU."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def an_item(kind: int, value: bytes) -> bytes:
    """Any item or sub-item."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def a_context(number: int, abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> bytes:
    """A proposed presentation context."""
    syntaxes = b"".join(an_item(0x40, uid.encode()) for uid in transfer_syntaxes)
    return an_item(0x20, bytes((number, 0, 0, 0)) + an_item(0x30, abstract_syntax.encode()) + syntaxes)


def an_associate_request(
    *,
    called: str = "OVERREAD",
    calling: str = "TESTSCU",
    application_context: str = "1.2.840.10008.3.1.1.1",
    protocol_version: int = 1,
    contexts: Sequence[tuple[int, str, Sequence[str]]] = ((1, CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,)),),
    maximum_length: int = 16_384,
    user_items: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ PDU."""
    user = an_item(0x51, struct.pack(">L", maximum_length)) + an_item(0x52, a_uid("scu").encode()) + user_items
    body = struct.pack(">HH", protocol_version, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += an_item(0x10, application_context.encode())
    body += b"".join(a_context(*context) for context in contexts) + an_item(0x50, user)
    return a_pdu(0x01, body)


def a_release_request() -> bytes:
    """An A-RELEASE-RQ PDU."""
    return a_pdu(0x05, bytes(4))


def an_abort() -> bytes:
    """An A-ABORT PDU of the peer's service user."""
    return a_pdu(0x07, bytes(4))


def a_command_set(elements: dict[int, bytes]) -> bytes:
    """A command set with its group length."""
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in sorted(elements.items()))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def an_even_uid(uid: str) -> bytes:
    """A UID with its padding."""
    return uid.encode() + b"\0" * (len(uid) % 2)


def a_store_command(
    *, message_id: int = 1, sop_class: str = CT_IMAGE_STORAGE, instance: str | None = None, has_data_set: bool = True
) -> bytes:
    """The command set of a C-STORE-RQ."""
    return a_command_set(
        {
            0x0002: an_even_uid(sop_class),
            0x0100: struct.pack("<H", 0x0001),
            0x0110: struct.pack("<H", message_id),
            0x0700: struct.pack("<H", 0),
            0x0800: struct.pack("<H", 0x0001 if has_data_set else 0x0101),
            0x1000: an_even_uid(a_uid("study/series/1") if instance is None else instance),
        }
    )


def an_echo_command(*, message_id: int = 1, command_field: int = 0x0030) -> bytes:
    """The command set of a C-ECHO-RQ, or of another request without a data set."""
    return a_command_set(
        {
            0x0002: an_even_uid(VERIFICATION),
            0x0100: struct.pack("<H", command_field),
            0x0110: struct.pack("<H", message_id),
            0x0800: struct.pack("<H", 0x0101),
        }
    )


def data_pdus(payload: bytes, *, context_id: int = 1, is_command: bool, size: int = 16_372) -> bytes:
    """P-DATA-TF PDUs, one presentation data value each."""
    pieces = cut(payload, size) or [b""]
    out = io.BytesIO()
    for number, piece in enumerate(pieces):
        control = int(is_command) | (2 if number == len(pieces) - 1 else 0)
        out.write(a_pdu(0x04, struct.pack(">LBB", len(piece) + 2, context_id, control) + piece))
    return out.getvalue()


def a_store(data: bytes, *, context_id: int = 1, size: int = 16_372, command: bytes | None = None) -> bytes:
    """All PDUs of one C-STORE-RQ with its data set."""
    request = a_store_command() if command is None else command
    return data_pdus(request, context_id=context_id, is_command=True) + data_pdus(
        data, context_id=context_id, is_command=False, size=size
    )
