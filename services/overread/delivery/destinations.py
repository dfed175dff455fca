"""Where results go: a validated list from a TOML file, `[[destination]]` once for each receiver.

```toml
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
receiving_application = "EMR"
receiving_facility = "BVX"
acknowledgment = "original"
country_code = "VNM"
send_unverified = "R"
unsolicited = true
language = "vi"
forms = ["oru", "order_status"]

[destination.refusals]
"AE 204" = "hold"
"AR" = "retry"

[destination.template]
accession_in = ["OBR-18", "OBR-20"]
text_code = "59776-5^Procedure findings^LN"
withhold_identifiers = ["NI", "BHXH"]

[destination.attachments]
attach = "embedded"
what = ["jpeg", "pdf"]
largest_bytes = 300_000

[[destination]]
name = "portal"
kind = "fhir"
url = "https://portal.example/fhir"
bearer_token_file = "/etc/overread/portal.token"
send_unverified = "partial"

[[destination]]
name = "pacs"
kind = "dicom"
url = "dicom://ORTHANC@127.0.0.1:4242"
calling_ae_title = "OVERREAD"
forms = ["sr", "seg", "sc"]
send_unverified = "unverified"

[[destination]]
name = "insurance"
kind = "xml4"
url = "file:///srv/insurance/xml4"

[destination.services]
CTCHEST = "18.9999.0001"
```
"""

import tomllib
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from overread.contracts.errors import OverreadError
from overread.delivery.destination_faults import first_fault
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.receiver import Receiver, SendUnverified
from overread.delivery.refusals import RefusalTable
from overread.delivery.templates import Attach, Attachments, Hl7Form, Placed, Template
from overread.protocols.hl7.oru_layout import Layout

MLLP_PORT = 2575
"""The port that IANA registers for HL7 over MLLP."""
DICOM_PORT, DICOM_TLS_PORT = 11112, 2762
"""The ports that IANA registers for DICOM, and for DICOM over TLS."""

AeTitle = Annotated[str, StringConstraints(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""One to sixteen characters of ASCII without backslash, no blanks around them (PS3.5, 6.2)."""


class DestinationsRefused(OverreadError):
    """The list of destinations can't be used; nothing is sent until it is mended."""


class DicomForm(StrEnum):
    """What an archive takes: structured report, segmentation, secondary capture."""

    SR = "sr"
    SEG = "seg"
    SC = "sc"


class Acknowledgment(StrEnum):
    """How an HL7 receiver is to answer (HL7 v2.5.1, 2.9.2 and 2.9.3).

    `original`: AA, AE or AR on the line, MSH-15 and MSH-16 empty. `enhanced`: CA, CE or CR on the line (AL) and no
    application acknowledgment (NE): that would come by a connection of the receiver's own, on which nobody listens.
    """

    ORIGINAL = "original"
    ENHANCED = "enhanced"

    @property
    def accept(self) -> str:
        """Return MSH-15 (table HL70155)."""
        return "AL" if self is Acknowledgment.ENHANCED else ""

    @property
    def application(self) -> str:
        """Return MSH-16 (table HL70155)."""
        return "NE" if self is Acknowledgment.ENHANCED else ""


class Hl7Destination(Receiver):
    """A receiver of HL7 v2 over MLLP, or with `mllps://` over TLS, with our certificate where it asks for one.

    `country_code` is MSH-17 (ISO 3166, three letters), left out by default. `refusals` says by the answer what becomes of
    a message that was refused, `forms` which messages it gets, `template` what these are like, `attachments` which
    pictures and documents come with them.
    """

    kind: Literal["hl7"]
    receiving_application: str = ""
    receiving_facility: str = ""
    acknowledgment: Acknowledgment = Acknowledgment.ORIGINAL
    country_code: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    send_unverified: Literal[SendUnverified.NONE, SendUnverified.R, SendUnverified.P] = SendUnverified.NONE
    refusals: RefusalTable = Field(default_factory=dict)
    certificate_file: Path | None = None
    key_file: Path | None = None
    forms: Annotated[tuple[Hl7Form, ...], Field(min_length=1)] = (Hl7Form.ORU,)
    template: Template = Template()
    attachments: Attachments = Attachments()

    @field_validator("attachments")
    @classmethod
    def _is_coded_unlike_the_text(cls, attachments: Attachments, told: ValidationInfo) -> Attachments:
        text = (told.data.get("template") or Template()).layout.narrative
        if text.identifier in {code.identifier for code in attachments.codes}:
            raise ValueError("picture_code and document_code must not be the code of the text")
        return attachments

    @property
    def layout(self) -> Layout:
        """Return where its messages say what."""
        if self.attachments.attach is Attach.NONE:
            return self.template.layout
        picture, document = self.attachments.codes
        return replace(
            self.template.layout,
            picture=picture,
            document=document,
            document_type=self.attachments.document_type,
            has_attachments_last=self.attachments.placed is Placed.LAST,
        )

    @field_validator("url")
    @classmethod
    def _names_an_mllp_listener(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("mllp", "mllps") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must read mllp://HOST:PORT, or mllps://HOST:PORT for TLS")
        if parts.username is not None or parts.port == 0:
            raise ValueError("must name a host and a port from 1 to 65535, and no user")
        return url

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self.parts.port or MLLP_PORT

    @property
    def uses_tls(self) -> bool:
        """Say whether the connection is encrypted."""
        return self.parts.scheme == "mllps"


class FhirDestination(Receiver):
    """A FHIR R4 server that takes transaction bundles at its base URL; the token is read anew for each request."""

    kind: Literal["fhir"]
    bearer_token_file: Path | None = None
    send_unverified: Literal[SendUnverified.NONE, SendUnverified.PARTIAL, SendUnverified.PRELIMINARY] = (
        SendUnverified.NONE
    )

    @field_validator("url")
    @classmethod
    def _names_a_fhir_server(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must read https://HOST/PATH, the base URL of a FHIR server")
        if parts.username is not None or parts.port == 0:
            raise ValueError("must name no user and no password: a token stands in a file of its own")
        return url.rstrip("/")


class DicomDestination(Receiver):
    """An archive that takes objects by C-STORE; with `dicoms://` over TLS, with our certificate where it asks for one."""

    kind: Literal["dicom"]
    calling_ae_title: AeTitle = "OVERREAD"
    forms: Annotated[tuple[DicomForm, ...], Field(min_length=1)] = tuple(DicomForm)
    certificate_file: Path | None = None
    key_file: Path | None = None
    send_unverified: Literal[SendUnverified.NONE, SendUnverified.UNVERIFIED] = SendUnverified.NONE

    @field_validator("url")
    @classmethod
    def _names_a_storage_scp(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("dicom", "dicoms") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must read dicom://AE@HOST:PORT, or dicoms://AE@HOST:PORT for TLS")
        if parts.password is not None or parts.port == 0:
            raise ValueError("must name a called AE, a host and a port from 1 to 65535")
        TypeAdapter(AeTitle).validate_python(unquote(parts.username or ""))
        return url

    @property
    def called_ae_title(self) -> str:
        """Return the AE that is called."""
        return unquote(self.parts.username or "")

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self.parts.port or (DICOM_TLS_PORT if self.uses_tls else DICOM_PORT)

    @property
    def uses_tls(self) -> bool:
        """Say whether the connection is encrypted."""
        return self.parts.scheme == "dicoms"


Destination = Hl7Destination | FhirDestination | DicomDestination | InsuranceDestination


class _DestinationFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    destination: tuple[Annotated[Destination, Field(discriminator="kind")], ...] = ()


_FILE = TypeAdapter(_DestinationFile)


def load(path: Path | None, *, site_id: str) -> tuple[Destination, ...]:
    """Return the destinations in the file at `path`; none when there is no path."""
    if path is None:
        return ()
    try:
        return parse(path.read_text(encoding="utf-8"), site_id=site_id)
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationsRefused(f"{path} can't be read: {type(error).__name__}") from error
    except DestinationsRefused as refused:
        raise DestinationsRefused(f"{path}, {refused}") from refused


def parse(text: str, *, site_id: str) -> tuple[Destination, ...]:
    """Return the destinations that `text` lists, or raise `DestinationsRefused` with the first rule it breaks."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DestinationsRefused(f"the list of destinations is not TOML: {error}") from error
    try:
        listed = _FILE.validate_python(written).destination
    except ValidationError as error:
        raise DestinationsRefused(first_fault(error, written)) from error
    names = [destination.name for destination in listed]
    if len(set(names)) < len(names):
        raise DestinationsRefused("two destinations have the same name")
    return tuple(d.model_copy(update={"site_id": d.site_id or site_id}) for d in listed)
