"""What the simulated hospital writes is where the standard has it."""

import pytest

from overread.cli.hospital_messages import omi_o23, orm_o01
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.events import NOON

PID = "PID|1||SIM1^^^DEMO^MR"
OMI = omi_o23(
    number="1", now=NOON, accession_number="A1", study_instance_uid="1.2", pid=PID, modality="CT", processing_id="T"
)
ORM = orm_o01(control_id="1", now=NOON, control="NW", number="1", accession_number="A1", pid=PID, modality="CT")


@pytest.mark.parametrize("text", [OMI, ORM], ids=["OMI", "ORM"])
def test_the_modality_of_an_order_stands_in_obr_24(text: str) -> None:
    """HL7 v2.5.1, 4.5.3.24: the section that makes the examination; OBR-25 is the status of a result."""
    obr = tokenise(text.encode()).segment("OBR")

    assert obr is not None
    assert (obr.text(24), obr.text(25)) == ("CT", "")
