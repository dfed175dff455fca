"""What is read out of a header, in every transfer syntax and character set (PS3.5, PS3.3)."""

import io
from datetime import date

import pydicom
import pytest

from overread.contracts.errors import Malformed
from overread.protocols.dicom.attributes import InstanceHeader, part10_header, read_header
from tests.builders import dicom

SYNTAXES = [
    dicom.IMPLICIT_VR_LITTLE_ENDIAN,
    dicom.EXPLICIT_VR_LITTLE_ENDIAN,
    dicom.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    dicom.EXPLICIT_VR_BIG_ENDIAN,
    dicom.PAPYRUS_3,
    dicom.ENCAPSULATED_UNCOMPRESSED,
    dicom.JPEG_BASELINE,
    dicom.JPEG_2000_LOSSLESS,
    dicom.RLE_LOSSLESS,
]


def header_of(dataset: pydicom.Dataset, transfer_syntax: str = dicom.EXPLICIT_VR_LITTLE_ENDIAN) -> InstanceHeader:
    return read_header([dicom.encoded(dataset, transfer_syntax)], transfer_syntax)


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_a_header_says_the_same_in_every_transfer_syntax(transfer_syntax: str) -> None:
    """PS3.5, 10: the transfer syntax changes the bytes, never the meaning."""
    expected = header_of(dicom.a_ct_slice())

    header = header_of(dicom.a_ct_slice(), transfer_syntax)

    assert header == expected


def test_a_header_names_instance_patient_and_geometry() -> None:
    """The attributes by which the steps after the intake decide."""
    header = header_of(dicom.a_ct_slice(number=4, rows=16))

    attributes = header.attributes
    assert header.study_instance_uid == dicom.a_uid("study")
    assert header.sop_instance_uid == dicom.a_uid("study/series/4")
    assert header.sop_class_uid == dicom.CT_IMAGE_STORAGE
    assert attributes.patient_name == "TEST^PATIENT"
    assert attributes.patient_birth_date == date(1960, 3, 4)
    assert attributes.patient_age_years == 64
    assert attributes.study_date_time == "2025-02-03T10:11:12"
    assert attributes.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert attributes.image_position_patient == (-100.0, -100.0, 10.0)
    assert attributes.image_orientation_patient == (1, 0, 0, 0, 1, 0)
    assert (attributes.rows, attributes.columns, attributes.pixel_spacing) == (16, 16, (0.7, 0.7))
    assert attributes.convolution_kernel == ("STANDARD",)
    assert header.undecodable == ()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_data_set_without_an_identity_is_malformed(keyword: str) -> None:
    """PS3.3, C.7 and C.12.1: what has no identity can't be kept under it; the reason names the attribute."""
    with pytest.raises(Malformed, match=keyword):
        header_of(dicom.a_ct_slice(without=keyword))


def test_a_uid_that_climbs_out_of_its_folder_is_malformed() -> None:
    """PS3.5, 9.1: digits and dots only, so that a UID can name an object."""
    marker = dicom.a_uid("study").encode()
    raw = dicom.encoded(dicom.a_ct_slice()).replace(marker, b"../../etc".ljust(len(marker), b"x"))

    with pytest.raises(Malformed, match="StudyInstanceUID"):
        read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("charset", ["ISO_IR 192", None])
def test_a_vietnamese_name_is_read_in_nfc(charset: str | None) -> None:
    """UTF-8 is read where it is declared, and where a sender forgot to declare it; NFC inside."""
    decomposed = "THU\u031b\u0309 NGHIE\u0323\u0302M^NGUYE\u0302\u0303N VA\u0306N"
    raw = dicom.encoded(dicom.a_ct_slice(SpecificCharacterSet="ISO_IR 192", PatientName=decomposed))
    sent = raw if charset else raw.replace(b"ISO_IR 192", b"          ")

    header = read_header([sent], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert header.attributes.patient_name == dicom.VIETNAMESE_NAME


def test_a_name_with_code_extensions_is_read() -> None:
    """PS3.5, 6.1.2.5 and the example of H.3.1."""
    header = read_header([dicom.an_iso_2022_slice()], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert header.attributes.patient_name == "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize("declared", [b"ISO_IR 192", b"ISO_IR 999", b"          "])
def test_undecodable_text_is_absent_and_named(declared: bytes) -> None:
    """Neither U+FFFD nor mojibake: a wrong name is worse than none."""
    raw = dicom.encoded(dicom.a_ct_slice(SpecificCharacterSet="ISO_IR 192"))
    broken = raw.replace(b"ISO_IR 192", declared).replace(b"TEST^PATIENT", b"T\xc9ST^PATIENT")

    header = read_header([broken], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert header.attributes.patient_name is None
    assert header.undecodable == ("PatientName",)


@pytest.mark.parametrize(
    ("sent", "instead", "keyword", "field"),
    [
        (b"19600304", b"19601301", "PatientBirthDate", "patient_birth_date"),
        (b"120 ", b"nan ", "KVP", "kvp"),
        (b"-100\\-100\\2.5 ", b"-100\\-1002.50 ", "ImagePositionPatient", "image_position_patient"),
    ],
)
def test_a_value_against_its_representation_is_absent_not_fatal(
    sent: bytes, instead: bytes, keyword: str, field: str
) -> None:
    """An image is never refused for an odd value in its header."""
    raw = dicom.encoded(dicom.a_ct_slice()).replace(sent, instead)

    header = read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert getattr(header.attributes, field) is None
    assert header.undecodable == (keyword,)


def test_an_age_without_its_leading_zero_is_read() -> None:
    """PS3.5 asks for three digits; scanners write two."""
    raw = dicom.encoded(dicom.a_ct_slice()).replace(b"064Y", b"64Y ")

    header = read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert header.attributes.patient_age_years == 64


@pytest.mark.parametrize(
    ("age", "born", "years"),
    [("018M", "", 1), ("090D", "", 0), ("", "20240204", 0), ("", "20240203", 1), ("", "", None)],
)
def test_the_age_is_in_whole_years(age: str, born: str, years: int | None) -> None:
    """PS3.5, AS; else from birth date to study date, 3 February 2025."""
    header = header_of(dicom.a_ct_slice(PatientAge=age, PatientBirthDate=born))

    assert header.attributes.patient_age_years == years


def test_a_time_zone_is_kept_when_the_header_has_one() -> None:
    """PS3.3, C.12.1.1.8."""
    dataset = dicom.a_ct_slice(StudyTime="0911", TimezoneOffsetFromUTC="+0700")

    header = header_of(dataset)

    assert header.attributes.study_date_time == "2025-02-03T09:11:00+07:00"


def test_a_header_is_read_across_fragments() -> None:
    """A header longer than the first fragments is still read whole."""
    dataset = dicom.a_ct_slice()
    dataset.add_new(0x00091001, "OB", bytes(300_000))

    header = read_header(dicom.cut(dicom.encoded(dataset), 1_000), dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert header == header_of(dicom.a_ct_slice())


@pytest.mark.parametrize("length", [0, 7, 100, 401, 601])
def test_a_data_set_cut_off_in_its_header_is_malformed(length: int) -> None:
    """What ends too early is never taken for a short header."""
    raw = dicom.encoded(dicom.a_ct_slice())[:length]

    with pytest.raises(Malformed):
        read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_data_set_in_another_syntax_is_malformed() -> None:
    """A sender that does not keep to the accepted transfer syntax is told so."""
    raw = dicom.encoded(dicom.a_ct_slice(), dicom.EXPLICIT_VR_BIG_ENDIAN)

    with pytest.raises(Malformed):
        read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)


def test_no_deflated_data_set_fills_the_memory() -> None:
    """A bomb that inflates to a gigabyte is malformed, not fatal."""
    head = dicom.encoded(dicom.a_ct_slice(without="PixelData"))[:200]
    bomb = dicom.deflated(head + bytes(100_000_000))

    with pytest.raises(Malformed):
        read_header([bomb], dicom.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("transfer_syntax", [dicom.EXPLICIT_VR_LITTLE_ENDIAN, dicom.IMPLICIT_VR_LITTLE_ENDIAN])
def test_no_data_set_of_a_million_elements_holds_up_the_intake(transfer_syntax: str) -> None:
    """The reader gives up after more elements than any header has, at the top and nested."""
    item = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    sequence = b"\x08\x00\x40\x11" + (b"SQ\0\0" if transfer_syntax == dicom.EXPLICIT_VR_LITTLE_ENDIAN else b"")
    head = dicom.encoded(dicom.a_ct_slice(without="PixelData"), transfer_syntax)[:100]

    for hostile in (bytes(8_000_000), sequence + b"\xff\xff\xff\xff" + item * 1_000_000):
        with pytest.raises(Malformed):
            read_header([head, hostile], transfer_syntax)


def test_the_reason_never_quotes_a_value() -> None:
    """Errors carry no patient data."""
    raw = dicom.encoded(dicom.a_ct_slice(without="SOPInstanceUID"))

    with pytest.raises(Malformed) as caught:
        read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert "TEST" not in str(caught.value)


@pytest.mark.parametrize("transfer_syntax", [one for one in SYNTAXES if one != dicom.PAPYRUS_3])
def test_header_and_data_set_are_a_file(transfer_syntax: str) -> None:
    """PS3.10, 7.1: another implementation reads the file; its data set is bit for bit what came."""
    dataset = dicom.a_ct_slice()
    data = dicom.encoded(dataset, transfer_syntax)

    whole = part10_header(dataset.SOPClassUID, dataset.SOPInstanceUID, transfer_syntax, "CT1") + data

    read = pydicom.dcmread(io.BytesIO(whole))
    assert whole.endswith(data)
    assert read.file_meta.TransferSyntaxUID == transfer_syntax
    assert read.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert read.file_meta.SourceApplicationEntityTitle == "CT1"
    assert read.StudyInstanceUID == dataset.StudyInstanceUID
