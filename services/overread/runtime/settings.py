"""What every service may be told, as `OVERREAD_*` in its environment. Secrets never appear in a repr or a log."""

from datetime import tzinfo
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from overread.contracts.errors import OverreadError
from overread.contracts.identifiers import SiteId
from overread.runtime.object_store import LOW_WATERMARK_BYTES


class ServiceSettings(BaseSettings):
    """Settings that all services share; each service's own class adds to them."""

    model_config = SettingsConfigDict(env_prefix="OVERREAD_", frozen=True, extra="ignore")

    site_id: SiteId = "site"
    port_offset: int = Field(default=0, ge=0, le=13000, description="Shifts every port of one stack.")
    instance_id: str = Field(default="0", description="Names this process among its like; static group membership.")
    kafka_bootstrap: str = "127.0.0.1:19092"
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "SASL_PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: Path | None = None
    database_dsn: SecretStr | None = None
    object_root: Path | None = Field(
        default=None,
        description="Root of the object store. Without the file .overread-objects in it, its volume is not mounted.",
    )
    least_free_bytes: int = Field(
        default=LOW_WATERMARK_BYTES, ge=0, description="With less free beside the objects an intake takes nothing."
    )
    health_socket: Path | None = Field(
        default=None, description="Unix socket that answers /healthz, /readyz, /metrics."
    )
    log_level: str = "INFO"
    hospital_time_zone: str = Field(default="Asia/Ho_Chi_Minh", description="For times that come without an offset.")
    dicom_fallback_charset: str = Field(
        default="ISO_IR 192", description="For DICOM text without (0008,0005) beyond ASCII; all readers use the same."
    )
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP collector for traces; none keeps them local."
    )
    poll_milliseconds: int = Field(default=20, ge=1, description="How long a consumer waits for a batch to begin.")
    batch_records: int = Field(default=200, ge=1, description="Most records in one transaction.")

    @property
    def time_zone(self) -> tzinfo:
        """Return the hospital's time zone."""
        return ZoneInfo(self.hospital_time_zone)

    @property
    def objects_folder(self) -> Path:
        """Return the folder of objects, or raise with the setting that is missing."""
        if self.object_root is None:
            message = "this service keeps or reads objects: set OVERREAD_OBJECT_ROOT"
            raise OverreadError(message)
        return self.object_root
