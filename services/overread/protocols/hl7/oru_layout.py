"""Where a result message says what: a receiver's habits. What is said is the same in every layout."""

from dataclasses import dataclass

from overread.protocols.hl7.data_types import CodedElement
from overread.protocols.hl7.oru_content import NARRATIVE

ACCESSION_NUMBER = 18
"""OBR-18 (placer field 1), where IHE's radiology profiles have the accession number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The fields of OBR that hold the accession number (18, 19, 20, 21 or none), and OBX-3 of the text."""

    accession_fields: tuple[int, ...] = (ACCESSION_NUMBER,)
    narrative: CodedElement = NARRATIVE


USUAL = Layout()
