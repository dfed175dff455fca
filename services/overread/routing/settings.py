"""What routing may be told."""

from pathlib import Path

from pydantic import Field

from overread.runtime.settings import ServiceSettings

DEFAULT_RULES = Path(__file__).with_name("rules.toml")


class RoutingSettings(ServiceSettings):
    """Which models there are, and which studies a site sends to them."""

    models_file: Path = Field(description="The catalogue of models, with the model repository beside it.")
    rules_file: Path = Field(default=DEFAULT_RULES, description="Which studies go to which models, as TOML.")
