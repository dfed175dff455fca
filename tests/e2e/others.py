"""What other systems say of a visit: its laboratory, and a reader at the RIS."""

from datetime import datetime

from tests.builders.hl7 import HANOI
from tests.builders.results import a_reader_report, a_result, an_obx
from tests.e2e.hospital import Visit


def a_creatinine(visit: Visit) -> bytes:
    """Return a creatinine of this hour."""
    now = datetime.now(HANOI).strftime("%Y%m%d%H%M%S%z")
    return a_result(
        an_obx(at=now),
        filler=f"LAB{visit.number}^LIS",
        control_id=f"LIS{visit.number}",
        processing_id="T",
        patient_id=visit.known["patient_id"],
        birth_date="19990512",
    )


def a_report(visit: Visit, status: str, minute: int) -> bytes:
    """Return a reader's report of the visit as the RIS sends it."""
    return a_reader_report(
        status,
        minute,
        control_id=f"RIS{visit.number}{minute}",
        processing_id="T",
        patient_id=visit.known["patient_id"],
        birth_date="19990512",
        accession=visit.accession_number,
        placer=visit.known["placer"],
        filler=f"RAD{visit.number}^RIS",
    )
