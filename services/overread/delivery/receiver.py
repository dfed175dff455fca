"""What every destination says of itself, whatever its kind."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from overread.contracts.identifiers import SiteId
from overread.delivery.sequence import Status


class SendUnverified(StrEnum):
    """Whether a destination gets results that nobody has confirmed, and under which word of its form.

    HL7 v2 knows R and P (table HL70123), FHIR R4 partial and preliminary; a DICOM SR is UNVERIFIED.
    """

    NONE = "none"
    R = "R"
    P = "P"
    PARTIAL = "partial"
    PRELIMINARY = "preliminary"
    UNVERIFIED = "unverified"

    @property
    def status(self) -> Status | None:
        """Return the status that the word stands for; None when nothing unverified is sent."""
        if self is SendUnverified.NONE:
            return None
        is_preliminary = self in (SendUnverified.P, SendUnverified.PRELIMINARY)
        return Status.PRELIMINARY if is_preliminary else Status.UNVERIFIED


class Receiver(BaseModel):
    """What every destination says of itself.

    `site_id` is the one site whose results it gets; the service's own where it is left out. After `failures_to_open`
    failures in a row it is left alone but for one try each `probe_seconds`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    url: str
    site_id: SiteId | None = None
    unsolicited: bool = False
    language: Literal["vi", "en", "fr"] = "vi"
    ca_file: Path | None = None
    failures_to_open: Annotated[int, Field(ge=1, le=1000)] = 8
    probe_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0

    @property
    def is_beside_the_result(self) -> bool:
        """Say whether what can't be said here keeps the result from nobody: no care waits for it."""
        return False

    @property
    def parts(self) -> SplitResult:
        """Return the address in its parts."""
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """Return the host that listens."""
        return self.parts.hostname or ""

    def takes(self, site_id: str, *, has_order: bool) -> bool:
        """Say whether results of `site_id` may go here; one that nobody ordered only where that is wanted."""
        return self.site_id == site_id and (has_order or self.unsolicited)
