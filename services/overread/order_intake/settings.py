from datetime import timedelta

from pydantic import Field

from overread.runtime.settings import ServiceSettings


class OrderIntakeSettings(ServiceSettings):
    """What `order_intake` may be told."""

    order_repeat_window: timedelta = Field(
        default=timedelta(hours=24), description="For so long a message id is known: a repeat gets its first answer."
    )
    order_repeat_entries: int = Field(default=100_000, ge=1, description="Most message ids known, of all links.")
    order_warm_entries: int = Field(default=10_000, ge=0, description="Read back of each link after a restart.")
    order_warm_seconds: float = Field(default=10.0, gt=0, description="Longest time to read them back.")
