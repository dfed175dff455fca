"""What the DICOM intake may be told: its address, its titles, and how much it takes on."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from overread.dicom_intake.server import ServerLimits
from overread.protocols.dicom.upper_layer import AcceptorConfig
from overread.runtime.settings import ServiceSettings


class DicomIntakeSettings(ServiceSettings):
    """Where the intake listens and whom it takes; without a certificate only the plain port is open."""

    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(default=11112, ge=1, le=65535)
    dicom_tls_port: int = Field(default=2762, ge=1, le=65535)
    dicom_plain_port_is_open: bool = Field(default=True, description="False leaves only the port with TLS.")
    dicom_tls_certificate: Path | None = None
    dicom_tls_key: Path | None = None
    dicom_tls_client_ca: Path | None = Field(default=None, description="With it, peers must show a certificate of it.")
    dicom_called_ae_titles: frozenset[str] = frozenset({"OVERREAD"})
    dicom_calling_ae_titles: frozenset[str] | None = Field(default=None, description="None takes any calling AE.")
    dicom_peers: dict[str, str] = Field(
        default_factory=dict,
        description="Where peers take what we report on an association of our own, as {'CT1': '10.0.0.5:104'}.",
    )
    dicom_ascii_peers: frozenset[str] = Field(
        default=frozenset(), description="Calling AEs that can't show diacritics: the worklist comes without them."
    )
    archive_dsn: SecretStr | None = Field(
        default=None, description="archive's tables, under the role that may only read them; None asks nothing."
    )
    dicom_maximum_associations: int = Field(default=32, ge=1)
    dicom_outstanding_events: int = Field(default=20_000, ge=1, description="Most events that wait for the broker.")

    @model_validator(mode="after")
    def _has_a_port(self) -> "DicomIntakeSettings":
        if not self.dicom_plain_port_is_open and self.dicom_tls_certificate is None:
            raise ValueError(
                "without a certificate there is no port but the plain one: set dicom_tls_certificate, or open it"
            )
        return self

    @property
    def acceptor(self) -> AcceptorConfig:
        """Return whom the intake answers."""
        return AcceptorConfig(
            called_ae_titles=self.dicom_called_ae_titles, calling_ae_titles=self.dicom_calling_ae_titles
        )

    @property
    def limits(self) -> ServerLimits:
        """Return how much the intake takes on."""
        return ServerLimits(maximum_associations=self.dicom_maximum_associations)
