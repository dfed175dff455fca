"""What a link that asks a RIS for its Modality Worklist may be told."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydicom import charset

from overread.order_intake.folder_settings import LinkName

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x5b\x5d-\x7e]+$")]


def _charset(term: str) -> str:
    if term and term not in charset.python_encoding:
        raise ValueError("it is no defined term of Specific Character Set; write for example ISO_IR 192")
    return term


Charset = Annotated[str, AfterValidator(_charset)]


class WorklistLink(BaseModel):
    """One RIS whose worklist is asked for, again and again (PS3.4, K)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link_id: LinkName = Field(
        description="Its name in logs, metrics and events; it is never changed.", examples=["ris"]
    )
    host: str = Field(min_length=1, description="Where the RIS answers.", examples=["10.20.0.5"])
    port: int = Field(ge=1, le=65535, description="Its port.", examples=[104])
    called_ae_title: AeTitle = Field(description="How the RIS is called.", examples=["RIS"])
    calling_ae_title: AeTitle = Field(default="OVERREAD", description="How we are called there.")
    uses_tls: bool = Field(default=False, description="TLS 1.2 or 1.3 (BCP 195).")
    ca_file: Path | None = Field(default=None, description="Authority of the RIS's certificate; else the system's.")
    certificate_file: Path | None = Field(default=None, description="Our certificate, where the RIS asks for one.")
    key_file: Path | None = Field(default=None, description="Its key, if it is in another file.")
    poll_seconds: float = Field(default=60.0, ge=1, le=86_400, description="How often it is asked.")
    days_before: int = Field(default=1, ge=0, le=31, description="Steps that were to begin so many days ago or later.")
    days_after: int = Field(default=7, ge=0, le=366, description="Steps that begin within so many days.")
    days_at_once: int = Field(default=0, ge=0, le=366, description="Days of one question; 0 asks for all at once.")
    modality: str = Field(default="", max_length=16, description="Only this one.", examples=["CT"])
    scheduled_station_ae_title: str = Field(
        default="", max_length=16, description="Only this station.", examples=["CT1"]
    )
    charset: Charset = Field(default="ISO_IR 192", description="Character set that is asked for, (0008,0005).")
    fallback_charset: Charset = Field(
        default="ISO_IR 192", description="Of answers that name none and are not ASCII.", examples=["ISO_IR 100"]
    )
    maximum_items: int = Field(
        default=5_000, ge=1, le=100_000, description="Of one question; then it is cancelled (C-CANCEL)."
    )
    connect_seconds: float = Field(default=10.0, gt=0, le=60, description="Longest wait for a connection.")
    answer_seconds: float = Field(default=30.0, gt=0, le=300, description="Longest wait for the next item.")
    question_seconds: float = Field(default=120.0, gt=0, le=3600, description="Longest time of one question.")
    retry_seconds: float = Field(
        default=5.0, ge=0.1, description="Wait after a first failure; it doubles with each more."
    )
    longest_retry_seconds: float = Field(default=600.0, ge=1, description="Longest wait between two tries.")
    disappeared: Literal["ignore", "hold_for_desk"] = Field(
        default="ignore", description="What becomes of an order that the worklist names no more before it has ended."
    )
    assigning_authority: str = Field(default="", description="Who gave the record numbers, where an item does not say.")
    placer_namespace: str = Field(default="", description="Who gave the placer's numbers, where an item does not say.")
    filler_namespace: str = Field(default="", description="Who gave the filler's numbers, where an item does not say.")
    is_synthetic: bool = Field(default=False, description="Whether all of it is a test.")

    @model_validator(mode="after")
    def _has_tls_for_its_files(self) -> Self:
        if not self.uses_tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError("ca_file, certificate_file and key_file need uses_tls = true beside them")
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file needs certificate_file beside it")
        return self
