"""What the HL7 intake may be told: its addresses, and how each link behaves."""

import codecs
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.order import Acceptance
from overread.runtime.settings import ServiceSettings


def _codec(name: str) -> str:
    if name:
        codecs.lookup(name)
    return name


class Link(BaseModel):
    """One sender's line: what it may send, and what it is used to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link_id: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    fallback_charset: Annotated[str, AfterValidator(_codec)] = Field(
        default="",
        description="Python codec for senders that leave MSH-18 empty; empty means 7-bit ASCII, by the book.",
    )
    processing_ids: frozenset[str] = frozenset({"P", "T", "D"})
    versions: frozenset[str] = frozenset({"2.3", "2.3.1", "2.4", "2.5", "2.5.1"})
    answers_application_ack_on_the_line: bool = Field(
        default=False, description="For senders in enhanced mode that wait for AA where the standard says CA."
    )
    maximum_frame_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    idle_seconds: float = Field(default=3600.0, gt=0, description="A connection silent for so long is closed.")
    half_frame_seconds: float = Field(default=30.0, gt=0, description="A message that began must end within this time.")
    duplicate_window_hours: float = Field(default=24.0, gt=0)
    duplicate_entries: int = Field(default=50_000, ge=1, description="Most answers remembered for repeats.")
    duplicate_key_has_message_datetime: bool = Field(
        default=False, description="For senders that count MSH-10 anew: MSH-7 too tells messages apart."
    )
    reused_control_id: Literal["refuse", "accept_and_warn"] = Field(
        default="refuse", description="What a used control ID with another body gets: error 205, or a line in the log."
    )
    warm_entries: int = Field(default=10_000, ge=0, description="Most messages read back from the topic at start.")
    warm_seconds: float = Field(default=4.0, gt=0, description="Longest time for reading back; then listening starts.")
    maximum_connections: int = Field(default=256, ge=1)
    pipelined_messages: int = Field(default=64, ge=1, description="Most unanswered messages of one connection.")

    @property
    def acceptance(self) -> Acceptance:
        """Return which messages the link takes."""
        return Acceptance(messages=TAKEN, processing_ids=self.processing_ids, versions=self.versions)

    @property
    def duplicate_window(self) -> timedelta:
        """Return how long a control ID is remembered."""
        return timedelta(hours=self.duplicate_window_hours)


class HL7IntakeSettings(ServiceSettings):
    """Where the intake listens; without a certificate only the plain port is open."""

    mllp_host: str = "127.0.0.1"
    mllp_port: int = Field(default=2575, ge=1, le=65535)
    mllp_tls_port: int = Field(default=2576, ge=1, le=65535)
    mllp_tls_certificate: Path | None = None
    mllp_tls_key: Path | None = None
    mllp_tls_client_ca: Path | None = Field(default=None, description="With it, senders must show a certificate of it.")
    mllp_link: Link = Link()
