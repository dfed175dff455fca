"""What a destination's HL7 messages are like, as data: which messages, where what stands, which identifiers are sent."""

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from overread.contracts.identifiers import nfc
from overread.protocols.hl7.data_types import CodedElement
from overread.protocols.hl7.oru_content import DICOM_STUDY, FINDING_SITE, NARRATIVE, Media
from overread.protocols.hl7.oru_layout import IMAGING_DOCUMENT, OF_INTEREST, Layout


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


class Attach(StrEnum):
    """How pictures and documents come with a result: not at all, as the address of our page, or in the message itself."""

    NONE = "none"
    POINTER = "pointer"
    EMBEDDED = "embedded"


class OverCap(StrEnum):
    """What becomes of one that is larger than the receiver takes: the address of our page in its place, or nothing."""

    POINTER = "pointer"
    OMIT = "omit"


class Placed(StrEnum):
    """Where attachments stand among the OBX segments."""

    LAST = "last"
    AFTER_TEXT = "after_text"


_TEXT_CODE = r"^[^|^~\\&\r\n]{1,20}\^[^|^~\\&\r\n]{1,199}\^[^|^~\\&\r\n]{1,20}$"


Code = Annotated[str, StringConstraints(pattern=_TEXT_CODE)]
"""Identifier, name and coding system, as OBX-3 has them."""


class Attachments(BaseModel):
    """`[destination.attachments]`: pictures (`jpeg`) and the report as a page (`pdf`), in ORU and MDM.

    `largest_bytes` is of each, before base64. `page_url` is where people reach our page: an address needs a sign-in there
    and names a case, no person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attach: Attach = Attach.NONE
    what: Annotated[tuple[Media, ...], Field(min_length=1)] = (Media.JPEG,)
    largest_bytes: Annotated[int, Field(ge=1_000, le=20_000_000)] = 500_000
    over_cap: OverCap = OverCap.OMIT
    page_url: str = ""
    placed: Placed = Placed.LAST
    picture_code: Code = OF_INTEREST.write()
    document_code: Code = IMAGING_DOCUMENT.write()
    document_type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,20}$")] = "AP"

    @field_validator("what")
    @classmethod
    def _names_each_once(cls, what: tuple[Media, ...]) -> tuple[Media, ...]:
        return tuple(dict.fromkeys(what))

    @field_validator("page_url")
    @classmethod
    def _names_our_page(cls, page_url: str) -> str:
        parts = urlsplit(page_url)
        is_plain = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        if page_url and (not is_plain or parts.username is not None):
            raise ValueError("must read https://HOST, where people reach the page, and name no user")
        return page_url.rstrip("/")

    @model_validator(mode="after")
    def _has_an_address_where_one_is_sent(self) -> Self:
        may_point = self.attach is Attach.POINTER or (
            self.attach is Attach.EMBEDDED and self.over_cap is OverCap.POINTER
        )
        if may_point and not self.page_url:
            raise ValueError("an address needs page_url: where people reach the page")
        return self

    @model_validator(mode="after")
    def _has_codes_of_its_own(self) -> Self:
        codes = [code.identifier for code in self.codes]
        if len(set(codes)) < len(codes) or set(codes) & {DICOM_STUDY.identifier, FINDING_SITE.identifier}:
            raise ValueError("picture_code and document_code differ, from the study's and a finding's site too")
        return self

    @property
    def codes(self) -> tuple[CodedElement, CodedElement]:
        """Return OBX-3 of a picture, and of the document."""
        return coded(self.picture_code), coded(self.document_code)

    @property
    def needs_images(self) -> bool:
        """Say whether they are made of the study's images too."""
        return self.attach is Attach.EMBEDDED and Media.JPEG in self.what


def coded(code: str) -> CodedElement:
    """Return the code that a setting names."""
    identifier, text, coding_system = code.split("^")
    return CodedElement(identifier=identifier, text=text, coding_system=coding_system)


class Template(BaseModel):
    """`[destination.template]`: by default everything stands where IHE's radiology profiles have it, and all is sent.

    `withhold_identifiers` names types (`NI`) or authorities (`BHXH`) of PID-3 that this receiver does not get.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accession_in: Annotated[tuple[AccessionPlace, ...], Field(min_length=1)] = (AccessionPlace.OBR_18,)
    text_code: Code = NARRATIVE.write()
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
        fields = (int(place.removeprefix("OBR-")) for place in self.accession_in if place is not AccessionPlace.OBR_3)
        return Layout(
            accession_fields=tuple(dict.fromkeys(fields)),
            narrative=coded(self.text_code),
        )

    @property
    def has_accession_as_filler_number(self) -> bool:
        """Say whether OBR-3 and ORC-3 hold the accession number."""
        return AccessionPlace.OBR_3 in self.accession_in

    def withholds(self, assigning_authority: str, identifier_type_code: str) -> bool:
        """Say whether an identifier of that authority and type is not sent."""
        named = {nfc(word).strip() for word in self.withhold_identifiers}
        return bool(named & {nfc(assigning_authority).strip(), nfc(identifier_type_code).strip()})
