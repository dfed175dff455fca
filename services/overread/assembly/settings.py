"""What assembly may be told."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from overread.assembly.completeness import QuietTimes
from overread.assembly.observation_codes import concepts
from overread.inference import catalog
from overread.runtime.settings import ServiceSettings


class AssemblySettings(ServiceSettings):
    """When a study counts as whole, in seconds; a site sets what its modalities need."""

    quiet_seconds: float = Field(default=60.0, gt=0, description="After the last image, with no other signal.")
    quiet_seconds_by_modality: dict[str, float] = Field(default_factory=dict, description="As {'CT': 30}.")
    quiet_after_association_seconds: float = Field(default=4.0, gt=0, description="After every association has ended.")
    quiet_after_list_seconds: float = Field(
        default=2.0, gt=0, description="After the last of the images that modality or archive has listed."
    )
    hold_cap_seconds: float = Field(default=600.0, gt=0, description="Longest wait while an association stays open.")

    report_links: frozenset[str] = Field(
        default=frozenset(), description="Links (`link_id`) on which a RIS sends what its readers report."
    )
    report_applications: frozenset[str] = Field(
        default=frozenset(), description="Senders of readers' reports on any link: MSH-3, MSH-3|MSH-4 or |MSH-4."
    )
    sending_application: str = Field(default="OVERREAD", description="MSH-3 of what Overread itself sends.")
    local_observation_codes: dict[str, str] = Field(
        default_factory=dict, description="A laboratory's own codes, as {'CREA^99LIS': 'creatinine'}."
    )

    front_secret: SecretStr | None = Field(
        default=None, min_length=16, description="Shared with the HTTP front, which checks who asks."
    )
    http_socket: Path | None = Field(
        default=None, description="Unix socket on which the front reaches this service; none: no desk for people."
    )

    models_file: Path | None = Field(
        default=None, description="The catalogue of models: a mapping names no other; none: any name is taken."
    )
    mapping_reach_days: float = Field(
        default=60.0, gt=0, description="Older orders are not told again when the mapping changes, open or not."
    )

    message_index_secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Keys the digests of patients' numbers in the index of messages; none: no search by patient.",
    )

    @property
    def mapping_reach(self) -> timedelta:
        """Return how old an order may be that follows a changed mapping."""
        return timedelta(days=self.mapping_reach_days)

    def model_names(self) -> frozenset[str] | None:
        """Return the names of the catalogue's models, None where none is told."""
        return frozenset(m.name for m in catalog.load(self.models_file).models) if self.models_file else None

    @property
    def message_index_key(self) -> bytes | None:
        """Return the key of the digests of patients' numbers."""
        return self.message_index_secret.get_secret_value().encode() if self.message_index_secret else None

    @field_validator("local_observation_codes")
    @classmethod
    def _names_known_concepts(cls, codes: dict[str, str]) -> dict[str, str]:
        if unknown := set(codes.values()) - set(concepts()):
            raise ValueError(f"observation_codes.toml has no {', '.join(sorted(unknown))}")
        return codes

    def quiet_times(self, modalities: Sequence[str]) -> QuietTimes:
        """Return the waiting times for a study of `modalities`: the longest that one of them needs."""
        quiet = max((self._quiet_of(modality) for modality in modalities), default=self.quiet_seconds)
        return QuietTimes(
            quiet=timedelta(seconds=quiet),
            after_association=timedelta(seconds=min(quiet, self.quiet_after_association_seconds)),
            hold_cap=timedelta(seconds=self.hold_cap_seconds),
            after_list=timedelta(seconds=min(quiet, self.quiet_after_list_seconds)),
        )

    def _quiet_of(self, modality: str) -> float:
        return self.quiet_seconds_by_modality.get(modality, self.quiet_seconds)
