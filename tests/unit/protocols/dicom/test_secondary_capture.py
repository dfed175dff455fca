"""Pictures of results: what they say, what they must not say, and that every letter can be drawn."""

import unicodedata
from dataclasses import replace
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread

from overread.protocols.dicom import picture
from overread.protocols.dicom.errors import NotRenderable, Unfaithful
from overread.protocols.dicom.key_image import KeyImage, key_frame, key_image
from overread.protocols.dicom.secondary_capture import (
    NOT_VERIFIED,
    ScContent,
    caption,
    finding_line,
    read,
    render,
    said_by,
)
from overread.protocols.dicom.sr_content import DocumentStatus
from overread.protocols.hl7.oru_content import SYNTHETIC, Language
from tests.builders.dicom import JPEG_2000_LOSSLESS, a_ct_slice
from tests.builders.dicom_results import A_PATIENT, a_stored_image, an_sc_content, some_labels

JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
VIETNAMESE = "aáàảãạăắằẳẵặâấầẩẫậeéèẻẽẹêếềểễệiíìỉĩịoóòỏõọôốồổỗộơớờởỡợuúùủũụưứừửữựyýỳỷỹỵđ"


def a_flat_image(value: int, **attributes: Any) -> KeyImage:
    """A slice of one value throughout."""
    dataset = a_ct_slice(series="series1", number=2, rows=64, **attributes)
    dataset.PixelData = int(value).to_bytes(2, "little", signed=True) * 64 * 64
    return key_image(a_stored_image(dataset))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("is_signed", [False, True])
def test_picture_reads_back_as_what_was_drawn(language: Language, *, is_signed: bool) -> None:
    """The gate compares header, caption and the digest of the pixels."""
    content = an_sc_content(is_signed=is_signed, language=language)

    reading = read(render(content))

    assert reading == said_by(content)
    assert reading.status is (DocumentStatus.VERIFIED if is_signed else DocumentStatus.UNVERIFIED)


def test_equal_contents_give_equal_bytes() -> None:
    """Drawn again it is the same object."""
    content = an_sc_content()

    assert render(content) == render(replace(content))


def test_unsigned_picture_says_so_in_every_language() -> None:
    """A picture travels further than its site; it is drawn, not only in the header."""
    unsigned, signed = an_sc_content(), an_sc_content(is_signed=True)

    assert caption(unsigned)[0] == NOT_VERIFIED
    assert NOT_VERIFIED not in caption(signed)
    assert said_by(unsigned).pixel_digest != said_by(replace(unsigned, lines=())).pixel_digest


@pytest.mark.parametrize(
    ("language", "is_correction", "line"),
    [
        (Language.VIETNAMESE, False, "Đã ký: TRẦN THỊ THỬ, 2026-11-22 10:05"),
        (Language.ENGLISH, True, "Corrected and signed by TRẦN THỊ THỬ, 2026-11-22 10:05"),
        (Language.FRENCH, False, "Signé par TRẦN THỊ THỬ, le 2026-11-22 10:05"),
    ],
)
def test_signed_picture_says_who_and_when(language: Language, line: str, *, is_correction: bool) -> None:
    """By the hospital's clock."""
    content = an_sc_content(is_signed=True, language=language, is_correction=is_correction)

    assert caption(content)[0] == line


@pytest.mark.parametrize("is_signed", [False, True])
def test_state_stands_above_the_slice_in_amber(*, is_signed: bool) -> None:
    """It is in the pixels, not only in the header: that is what a viewer shows."""
    written = dcmread(BytesIO(render(an_sc_content(is_signed=is_signed))))

    first_line = written.pixel_array[: picture._MARGIN + picture._LINE_HEIGHT]

    assert np.all(first_line == picture._AMBER, axis=2).sum() > 100


def test_picture_shows_no_patient() -> None:
    """The patient is in the header, where de-identification finds it; burnt-in text is marked (PS3.3, C.7.6.1)."""
    content = an_sc_content()
    written = dcmread(BytesIO(render(content)))

    said = " ".join(caption(content))

    assert written.BurnedInAnnotation == "YES"
    assert not any(part in said for part in (A_PATIENT.patient_id, *A_PATIENT.patient_name.split("^")))


@pytest.mark.parametrize(
    "text", [NOT_VERIFIED, *SYNTHETIC.values(), VIETNAMESE, VIETNAMESE.upper(), "0123456789 °±µ²³≤≥–’"]
)
def test_every_letter_can_be_drawn(text: str) -> None:
    """A missing glyph is an empty box: that is how a font without Vietnamese looks."""
    font = picture.typeface()
    box = bytes(font.getmask("\uffff"))

    letters = {letter for letter in unicodedata.normalize("NFC", text) if not letter.isspace()}

    assert [letter for letter in sorted(letters) if bytes(font.getmask(letter)) == box] == []


def test_long_line_is_wrapped_inside_the_picture() -> None:
    """Nothing runs out of the frame, not even one long word."""
    wrapped = [*picture.wrapped("Vùng giảm tỷ trọng " * 8 + "x" * 200, 300)]

    assert len(wrapped) > 3
    assert max(picture.typeface().getlength(line) for line in wrapped) <= 300
    assert "".join("".join(wrapped).split()) == "".join(("Vùng giảm tỷ trọng " * 8 + "x" * 200).split())


def test_mask_is_tinted_and_the_rest_stays_grey() -> None:
    """Red, green and blue differ under the mask only."""
    content = an_sc_content()

    drawn = picture.draw(content.image, content.labels, (), ())

    bands = 2 * picture._MARGIN
    slice_ = drawn[bands:-bands]
    coloured = np.any(slice_ != slice_[:, :, :1], axis=2)
    assert 0.05 < coloured.mean() < 0.15


def test_narrow_slices_are_drawn_with_square_pixels() -> None:
    """A sagittal slice of thick sections would look squeezed."""
    image = KeyImage(reference=an_sc_content().image.reference, grey=np.zeros((100, 200), np.uint8), aspect=2.0)

    drawn = picture._slice(image, None)

    assert drawn.shape == (512, 512, 3)


def test_key_frame_shows_most_of_the_mask() -> None:
    """The middle one where nothing was found."""
    labels = some_labels(frames=5)

    assert key_frame(labels) == 4
    assert key_frame(np.zeros_like(labels)) == 2


def test_window_of_the_header_is_used() -> None:
    """PS3.3, C.11.2.1.2: what is at the centre is mid-grey; without one a CT is shown as soft tissue."""
    lung = a_flat_image(-600, WindowCenter=["-600", "40"], WindowWidth=["1500", "400"])
    usual = a_flat_image(40)

    assert abs(int(lung.grey[0, 0]) - 127) <= 1
    assert abs(int(usual.grey[0, 0]) - 127) <= 1


def test_inverse_greyscale_is_shown_the_right_way_round() -> None:
    """MONOCHROME1: the lowest value is white."""
    plain = a_flat_image(240)
    inverse = a_flat_image(240, PhotometricInterpretation="MONOCHROME1")

    assert plain.grey[0, 0] == 255
    assert inverse.grey[0, 0] == 0


@pytest.mark.parametrize("transfer_syntax", [JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS])
def test_compressed_slice_gives_the_same_picture(transfer_syntax: str) -> None:
    """Archives keep compressed images; JPEG-LS knows no sign, so stored bits are read as the header says."""
    dataset = a_ct_slice(series="series1", number=2, rows=64)
    stored = np.arange(64 * 64, dtype=np.int16).reshape(64, 64) - 2000
    dataset.PixelData = stored.tobytes()
    plain = key_image(a_stored_image(dataset))
    dataset.PixelData = bytes(
        imagecodecs.jpeg2k_encode(stored, reversible=True, level=0, codecformat="j2k")
        if transfer_syntax == JPEG_2000_LOSSLESS
        else imagecodecs.jpegls_encode(stored.view(np.uint16))
    )

    compressed = key_image(a_stored_image(dataset, transfer_syntax))

    assert np.array_equal(compressed.grey, plain.grey)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        a_stored_image(a_ct_slice(PhotometricInterpretation="RGB")),
        a_stored_image(a_ct_slice(NumberOfFrames="2")),
        a_stored_image(a_ct_slice(without="PixelData")),
        a_stored_image(a_ct_slice(PixelData=b"\0" * 9)),
    ],
)
def test_image_that_cannot_be_shown_is_refused(raw: bytes) -> None:
    """Then there is no picture; the other forms still go."""
    with pytest.raises(NotRenderable):
        key_image(raw)


def test_picture_without_its_mark_is_not_read() -> None:
    """Text is burnt in, and the object has to say so."""
    written = dcmread(BytesIO(render(an_sc_content())))
    written.BurnedInAnnotation = "NO"
    buffer = BytesIO()
    written.save_as(buffer, enforce_file_format=True)

    with pytest.raises(Unfaithful):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    ("language", "line"),
    [
        (Language.VIETNAMESE, "Thể tích: 4210,5 ml"),
        (Language.FRENCH, "Thể tích: 4210,5 ml"),
        (Language.ENGLISH, "Thể tích: 4210.5 ml"),
    ],
)
def test_numbers_are_written_as_their_readers_write_them(language: Language, line: str) -> None:
    """A decimal comma in Vietnamese and French."""
    assert finding_line("Thể tích", "4210.5", "ml", language) == line


def test_content_without_findings_is_still_a_picture() -> None:
    """ "AI found nothing" is a result."""
    content: ScContent = an_sc_content(labels=None, lines=())

    assert read(render(content)) == said_by(content)
