from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from overread.runtime.settings import ServiceSettings


class OrderIntakeSettings(ServiceSettings):
    """What `order_intake` may be told."""

    front_secret: SecretStr | None = Field(
        default=None, min_length=16, description="Shared with the HTTP front, which checks who asks."
    )
    http_socket: Path | None = Field(default=None, description="Unix socket on which the front reaches this service.")
    fhir_identifier_systems: dict[str, str] = Field(
        default={},
        description="The site's names for systems of FHIR identifiers and codes, so that they are those of HL7 v2.",
    )
    order_links: Path | None = Field(
        default=None,
        description="TOML file of links that orders are fetched from: `[[folder]]` and `[[worklist]]` each; read again "
        "whenever it changes.",
    )
    order_repeat_window: timedelta = Field(
        default=timedelta(hours=24), description="For so long a message id is known: a repeat gets its first answer."
    )
    order_repeat_entries: int = Field(default=100_000, ge=1, description="Most message ids known, of all links.")
    order_warm_entries: int = Field(default=10_000, ge=0, description="Read back of each link after a restart.")
    order_warm_seconds: float = Field(default=10.0, gt=0, description="Longest time to read them back.")
    order_most_waiting: int = Field(
        default=5_000, ge=1, description="Most statements that wait for the broker; with more, HTTP answers 429."
    )
