"""Every command of docs/dicom.md, typed as a scanner's engineer would, on the hospital's stack."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.documents import Newcomer, blocks
from tests.e2e.hospital import Hospital

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

DICOM = "docs/dicom.md"
SETTLE_SECONDS = 30.0
"""How long an engineer looks again: the worklist hears of an order a moment later."""
SEES: Mapping[str, tuple[str, ...]] = {
    "./run overread dicom echo": ("CT1 is taken: 0x0000 success",),
    "cat > scan.hl7": ("CA",),
    "./run overread dicom worklist": ("2026-11-22 10:00  CT  ACC0101", "THỬ NGHIỆM^NGUYỄN VĂN"),
    "STEP=": ("2.25.",),
    ".venv/bin/python": ("CT Image Storage, Explicit VR Little Endian: would be answered 0x0000", "hidden"),
    "./run overread dicom send": ("0x0000 success",),
    "./run overread dicom step end": ("completed, ",),
    "./run overread dicom commit": (" are kept",),
}
"""What the page says one will see, by the beginning of the block."""


def test_a_scanner_is_connected_by_its_page_alone(hospital: Hospital, tmp_path: Path) -> None:
    """Each block ends well and shows what stands beside it; the worklist hears of an order a moment later."""
    engineer = Newcomer(tmp_path, hospital.endpoints.ports.offset)

    for block in blocks(DICOM):
        (expected,) = (words for beginning, words in SEES.items() if block.text.startswith(beginning))
        done = engineer.types(block.text)
        deadline = time.monotonic() + SETTLE_SECONDS
        while "worklist" in block.text and expected[0] not in done.stdout and time.monotonic() < deadline:
            done = engineer.types(block.text)
        assert done.returncode == 0, done.stdout
        assert [word for word in expected if word not in done.stdout] == [], done.stdout
