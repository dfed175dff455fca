from pathlib import Path

from pydantic import Field, SecretStr

from overread.runtime.settings import ServiceSettings


class DicomwebSettings(ServiceSettings):
    """What `dicomweb` may be told."""

    archive_dsn: SecretStr = Field(description="archive's tables, under the role that may only read them.")
    front_secret: SecretStr = Field(min_length=16, description="Shared with the HTTP front, which checks who asks.")
    http_socket: Path = Field(description="Unix socket on which the front reaches this service.")
