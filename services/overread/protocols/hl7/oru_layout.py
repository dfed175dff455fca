"""Where a result message says what: a receiver's habits. What is said is the same in every layout."""

from dataclasses import dataclass

from overread.protocols.hl7.data_types import CodedElement
from overread.protocols.hl7.oru_content import NARRATIVE

ACCESSION_NUMBER = 18
"""OBR-18 (placer field 1), where IHE's radiology profiles have the accession number."""


OF_INTEREST = CodedElement(identifier="113000", text="Of Interest", coding_system="DCM")
"""OBX-3 of a picture (PS3.16, CID 7010)."""
IMAGING_DOCUMENT = CodedElement(identifier="18748-4", text="Diagnostic imaging study", coding_system="LN")
"""OBX-3 of the report as a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The fields of OBR that hold the accession number (18, 19, 20, 21 or none), and OBX-3 of text and attachments.

    Without a code there are no attachments of that kind. They stand after the findings, or before them; `document_type`
    is ED-2 of a PDF (AP of table HL70191, or a receiver's own word).
    """

    accession_fields: tuple[int, ...] = (ACCESSION_NUMBER,)
    narrative: CodedElement = NARRATIVE
    picture: CodedElement | None = None
    document: CodedElement | None = None
    document_type: str = "AP"
    has_attachments_last: bool = True


USUAL = Layout()
