from pathlib import Path

from pydantic import Field, SecretStr

from overread.runtime.settings import ServiceSettings


class OpsSettings(ServiceSettings):
    """What `ops` may be told. Its broker user may read every topic and look at every group, and writes none."""

    archive_dsn: SecretStr = Field(description="archive's tables, under the role that may only read them.")
    front_secret: SecretStr = Field(min_length=16, description="Shared with the HTTP front, which checks who asks.")
    http_socket: Path = Field(description="Unix socket on which the front reaches this service.")
    watched: dict[str, Path] = Field(
        default={}, validation_alias="OVERREAD_OPS_WATCHED", description="Each service's health socket, by name."
    )
