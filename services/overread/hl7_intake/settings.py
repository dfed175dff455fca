"""What the HL7 intake may be told: its addresses, and how each link behaves."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, field_validator, model_validator

from overread.protocols.hl7.accession_places import checked_places
from overread.protocols.hl7.charsets import codec_named
from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.order import VERSIONS, Acceptance
from overread.runtime.settings import ServiceSettings

Network = IPv4Network | IPv6Network


def _codec(name: str) -> str:
    try:
        if name:
            codec_named(name)
    except LookupError:
        raise ValueError(
            "there is no character set of this name in table HL70211, in old Viet Nam or in Python"
        ) from None
    return name


def _application(pattern: str) -> str:
    """Check a sender's name as it stands in MSH-3 and MSH-4: `HIS`, `HIS|BVX`, `|BVX`."""
    application, _, facility = pattern.partition("|")
    is_plain = pattern.isascii() and pattern.isprintable() and pattern == pattern.strip()
    if not (is_plain and (application or facility)) or "|" in facility:
        raise ValueError("it must be MSH-3, MSH-3|MSH-4 or |MSH-4, first component each, in ASCII")
    return pattern


def _processing_id(name: str) -> str:
    """Check a value of table HL70103, the only ones that MSH-11 may hold."""
    if name not in PROCESSING_IDS:
        raise ValueError("MSH-11 is P, T or D")
    return name


PROCESSING_IDS = frozenset({"P", "T", "D"})
"""Production, training, debugging (table HL70103)."""

NUMBERS = (
    "port",
    "maximum_frame_bytes",
    "maximum_garbage_bytes",
    "idle_seconds",
    "half_frame_seconds",
    "messages_per_second",
    "duplicate_window_hours",
    "duplicate_entries",
    "warm_entries",
    "warm_seconds",
    "maximum_connections",
    "pipelined_messages",
)
"""Settings that are numbers: for pydantic `true` is one too, so that `port = true` would be port 1."""


class Link(BaseModel):
    """One sender's line: who may use it, what it may send, and what it is used to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link_id: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Its name in logs, metrics and events, and the key of `hl7.received`; it is never changed.",
        examples=["his-bvx"],
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its own port; links without one share the default ports, plain and TLS.",
        examples=[2581],
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="Certificate chain (PEM) for its own port, which then speaks TLS 1.2 or 1.3 and nothing else.",
        examples=["/etc/overread/mllp.pem"],
    )
    tls_key: Path | None = Field(
        default=None,
        description="The certificate's key, if it is in another file.",
        examples=["/etc/overread/mllp.key"],
    )
    tls_client_ca: Path | None = Field(
        default=None,
        description="With it senders must show a certificate of this authority (mutual TLS, BCP 195).",
        examples=["/etc/overread/senders-ca.pem"],
    )
    allowed_peers: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="Networks that may connect; empty lets every address.",
        examples=[["10.20.0.0/16", "192.168.5.7"]],
    )
    allowed_applications: tuple[Annotated[str, AfterValidator(_application)], ...] = Field(
        default=(),
        description="Who may send, as `MSH-3`, `MSH-3|MSH-4` or `|MSH-4`, first component each; empty lets everybody.",
        examples=[["HIS|BVX", "RIS"]],
    )
    fallback_charset: Annotated[str, AfterValidator(_codec)] = Field(
        default="",
        description="Character set of senders that leave MSH-18 empty, as in table HL70211, or `TCVN3`, `VNI`, `cp1258`; "
        "empty means 7-bit ASCII, by the book.",
        examples=["cp1258"],
    )
    processing_ids: frozenset[Annotated[str, AfterValidator(_processing_id)]] = Field(
        default=PROCESSING_IDS, description="MSH-11 that is taken.", examples=[["P"]]
    )
    versions: frozenset[str] = Field(
        default=VERSIONS,
        description="MSH-12 that is taken.",
        examples=[["2.3.1", "2.5.1"]],
    )
    accession_places: Annotated[tuple[str, ...], AfterValidator(checked_places)] = Field(
        default=(),
        description="Fields that hold the accession number, the first that says something; empty: IPC-1, then OBR-18.",
        examples=[["OBR-18", "ZPA-3.2"]],
    )
    answers_application_ack_on_the_line: bool = Field(
        default=False,
        description="For senders in enhanced mode that wait for AA where the standard says CA.",
        examples=[True],
    )
    commits_blocks: bool = Field(
        default=False,
        description="MLLP release 2: each block is committed (`06`), or not (`15`), before its answer.",
        examples=[True],
    )
    language: Literal["vi", "en", "fr"] = Field(
        default="en", description="Language of the sentence in an answer that refuses.", examples=["vi"]
    )
    maximum_frame_bytes: int = Field(
        default=8 * 1024 * 1024, ge=1024, description="A longer message is let go and refused.", examples=[1048576]
    )
    maximum_garbage_bytes: int = Field(
        default=64 * 1024,
        ge=0,
        description="More bytes than that between two messages end the connection; white space alone does not.",
        examples=[4096],
    )
    idle_seconds: float = Field(
        default=3600.0, gt=0, description="A connection silent for so long is closed.", examples=[600]
    )
    half_frame_seconds: float = Field(
        default=30.0, gt=0, description="A message that began must end within this time.", examples=[10]
    )
    messages_per_second: float | None = Field(
        default=None,
        gt=0,
        description="Most messages a second, over all its connections; more are read later, none is lost.",
        examples=[50],
    )
    duplicate_window_hours: float = Field(
        default=24.0, gt=0, description="How long a control ID is remembered.", examples=[168]
    )
    duplicate_entries: int = Field(
        default=50_000, ge=1, description="Most answers remembered for repeats.", examples=[100000]
    )
    duplicate_key_has_message_datetime: bool = Field(
        default=False,
        description="For senders that count MSH-10 anew: MSH-7 too tells messages apart.",
        examples=[True],
    )
    reused_control_id: Literal["refuse", "accept_and_warn"] = Field(
        default="refuse",
        description="What a used control ID with another body gets: error 205, or a line in the log.",
        examples=["accept_and_warn"],
    )
    warm_entries: int = Field(
        default=10_000, ge=0, description="Most messages read back from the topic at start.", examples=[20000]
    )
    warm_seconds: float = Field(
        default=4.0, gt=0, description="Longest time for reading back; then listening starts.", examples=[10]
    )
    maximum_connections: int = Field(
        default=256, ge=1, description="More connections at a time are closed at once.", examples=[16]
    )
    pipelined_messages: int = Field(
        default=64, ge=1, description="Most unanswered messages of one connection.", examples=[1]
    )

    @field_validator(*NUMBERS, mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("it must be a number, not true or false")  # noqa: TRY004 - pydantic reports a ValueError
        return value

    @model_validator(mode="after")
    def _has_a_port_for_its_certificate(self) -> Self:
        if (self.tls_key or self.tls_client_ca) and not self.tls_certificate:
            raise ValueError("tls_key and tls_client_ca need tls_certificate beside them")
        if self.tls_certificate and self.port is None:
            raise ValueError("tls_certificate needs a port of its own: write port beside it")
        return self

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
    mllp_link: Link = Field(default=Link(), description="The only link, where no file lists them.")
    poll_milliseconds: int = Field(
        default=500, ge=1, description="Corrections are rare: the listener has the processor."
    )
    hl7_links: Path | None = Field(
        default=None, description="TOML file of links, `[[link]]` each; read again whenever it changes."
    )
    http_port: int = Field(default=8080, ge=1, le=65535, description="Of another service: no link may have it.")
    dicom_port: int = Field(default=11112, ge=1, le=65535, description="Of another service: no link may have it.")
    dicom_tls_port: int = Field(default=2762, ge=1, le=65535, description="Of another service: no link may have it.")
