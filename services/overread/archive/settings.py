"""What archive may be told."""

from pathlib import Path

from pydantic import Field, field_validator

from overread.runtime.settings import ServiceSettings


class ArchiveSettings(ServiceSettings):
    """Archive needs its database and the folder of objects; peers' addresses only to answer requests for commitment."""

    dicom_ae_title: str = Field(default="OVERREAD", min_length=1, max_length=16, description="Who reports.")
    dicom_peers: dict[str, str] = Field(
        default_factory=dict,
        description="Where peers take what we report on an association of our own, as {'CT1': '10.0.0.5:104'}.",
    )
    dicom_peers_tls_ca: Path | None = Field(default=None, description="With it, peers are reached by TLS.")
    dicom_peers_tls_certificate: Path | None = None
    dicom_peers_tls_key: Path | None = None

    @field_validator("dicom_peers")
    @classmethod
    def _have_host_and_port(cls, peers: dict[str, str]) -> dict[str, str]:
        for title, address in peers.items():
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise ValueError(f"the address of {title} is written HOST:PORT, as 10.0.0.5:104")
        return peers
