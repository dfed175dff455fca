"""What the delivery service may be told, as `OVERREAD_*`."""

from pathlib import Path

from pydantic import Field

from overread.runtime.settings import ServiceSettings


class DeliverySettings(ServiceSettings):
    """Where results go, whom delivery trusts, and how patient it is."""

    destinations: Path | None = Field(default=None, description="TOML file of destinations; none sends nothing.")
    site_ca_root: Path | None = Field(
        default=None, description="PEM of the site CA's root: delivery's own read-only copy, read at each check."
    )
    sending_application: str = Field(default="OVERREAD", description="MSH-3 of what is sent.")
    sending_facility: str = Field(default="", description="MSH-4 of what is sent; empty: the site_id.")
    connect_seconds: float = Field(default=10.0, gt=0)
    acknowledgment_seconds: float = Field(default=30.0, gt=0, description="How long a destination may take to answer.")
    first_retry_seconds: float = Field(default=0.2, gt=0)
    longest_retry_seconds: float = Field(default=30.0, gt=0)
    longest_refusal_seconds: float = Field(
        default=600.0, gt=0, description="Between two tries of a signed result that was refused without saying why."
    )
    gate_retry_seconds: float = Field(default=0.1, gt=0, description="While the gate waits to have read enough.")
