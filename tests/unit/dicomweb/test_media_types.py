"""Accept headers as viewers send them (PS3.18, 8.7)."""

import pytest

from overread.dicomweb.media_types import frame_type, json_type, takes_instance

NATIVE, JPEG_LS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"
OCTETS = 'multipart/related; type="application/octet-stream"'


@pytest.mark.parametrize(
    ("accept", "stored", "expected"),
    [
        ("", NATIVE, "application/octet-stream"),
        ("*/*", JPEG_LS, "application/octet-stream"),
        (OCTETS, NATIVE, "application/octet-stream"),
        (f"{OCTETS}; transfer-syntax=*", JPEG_LS, "application/octet-stream"),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", JPEG_LS, "application/octet-stream"),
        (f"{OCTETS}; transfer-syntax={JPEG_LS}", JPEG_LS, "application/octet-stream"),
        ('multipart/related; type="image/jls"', JPEG_LS, "image/jls"),
        (f'multipart/related; type="image/jp2", {OCTETS}; transfer-syntax=*', JPEG_LS, "application/octet-stream"),
        (OCTETS, JPEG_LS, None),
        ('multipart/related; type="image/jp2"', JPEG_LS, None),
        ("text/html", NATIVE, None),
        (f"{OCTETS}; q=0", NATIVE, "application/octet-stream"),
    ],
)
def test_frame_comes_as_the_client_takes_it(accept: str, stored: str, expected: str | None) -> None:
    """Nothing is transcoded: what is stored compressed goes to who takes that syntax."""
    assert frame_type(accept, stored) == expected


def test_instance_goes_to_who_takes_its_syntax() -> None:
    """A client that names no syntax takes what is not compressed (PS3.18, 8.7.3.5.2)."""
    dicom = 'multipart/related; type="application/dicom"'

    assert [takes_instance(accept, JPEG_LS) for accept in (dicom, f"{dicom}; transfer-syntax=*", "*/*")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", "application/dicom+json"), ("application/json", "application/json"), ("text/html", None)],
)
def test_metadata_is_json(accept: str, expected: str | None) -> None:
    """DICOM JSON, by either name."""
    assert json_type(accept) == expected
