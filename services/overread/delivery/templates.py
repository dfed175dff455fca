"""What a destination's HL7 messages are like, as data: which messages, where what stands, which identifiers are sent."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from overread.contracts.identifiers import nfc
from overread.protocols.hl7.data_types import CodedElement
from overread.protocols.hl7.oru_content import DICOM_STUDY, FINDING_SITE, NARRATIVE
from overread.protocols.hl7.oru_layout import Layout


class Hl7Form(StrEnum):
    """A message that an HL7 receiver takes.

    `oru`: results, in every state. `mdm`: a signed report as a document (MDM^T02, T10 where it replaces one).
    `order_status`: that the order is completed, or is to be read anew (ORM^O01 with ORC-1 SC).
    """

    ORU = "oru"
    MDM = "mdm"
    ORDER_STATUS = "order_status"


class AccessionPlace(StrEnum):
    """A field that may hold the accession number. In OBR-3 it stands in place of the filler order number (ORC-3 too)."""

    OBR_18 = "OBR-18"
    OBR_19 = "OBR-19"
    OBR_20 = "OBR-20"
    OBR_21 = "OBR-21"
    OBR_3 = "OBR-3"


_TEXT_CODE = r"^[^|^~\\&\r\n]{1,20}\^[^|^~\\&\r\n]{1,199}\^[^|^~\\&\r\n]{1,20}$"


class Template(BaseModel):
    """`[destination.template]`: by default everything stands where IHE's radiology profiles have it, and all is sent.

    `withhold_identifiers` names types (`NI`) or authorities (`BHXH`) of PID-3 that this receiver does not get.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accession_in: Annotated[tuple[AccessionPlace, ...], Field(min_length=1)] = (AccessionPlace.OBR_18,)
    text_code: Annotated[str, StringConstraints(pattern=_TEXT_CODE)] = NARRATIVE.write()
    withhold_identifiers: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()

    @field_validator("text_code")
    @classmethod
    def _is_no_code_of_another_thing(cls, text_code: str) -> str:
        if text_code.split("^", maxsplit=1)[0] in (DICOM_STUDY.identifier, FINDING_SITE.identifier):
            raise ValueError("must not be the code of the study or of a finding's site")
        return text_code

    @property
    def layout(self) -> Layout:
        """Return where the message says what."""
        identifier, text, coding_system = self.text_code.split("^")
        fields = (int(place.removeprefix("OBR-")) for place in self.accession_in if place is not AccessionPlace.OBR_3)
        return Layout(
            accession_fields=tuple(dict.fromkeys(fields)),
            narrative=CodedElement(identifier=identifier, text=text, coding_system=coding_system),
        )

    @property
    def has_accession_as_filler_number(self) -> bool:
        """Say whether OBR-3 and ORC-3 hold the accession number."""
        return AccessionPlace.OBR_3 in self.accession_in

    def withholds(self, assigning_authority: str, identifier_type_code: str) -> bool:
        """Say whether an identifier of that authority and type is not sent."""
        named = {nfc(word).strip() for word in self.withhold_identifiers}
        return bool(named & {nfc(assigning_authority).strip(), nfc(identifier_type_code).strip()})
