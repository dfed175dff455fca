"""What a folder's link says of its columns: which holds what, and what its codes mean; the mapping as data."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overread.contracts.events.order_statements import OrderAction, RequestPriority

_SEXES: Mapping[str, str] = {
    **{sex: sex for sex in ("M", "F", "O", "U")},
    **dict.fromkeys(("nam", "male", "homme"), "M"),
    **dict.fromkeys(("nữ", "nu", "female", "femme"), "F"),
}
_PRIORITIES: Mapping[str, RequestPriority] = {
    **{priority.value: priority for priority in RequestPriority},
    **dict.fromkeys(("s", "cấp cứu"), RequestPriority.STAT),
    **dict.fromkeys(("a", "khẩn"), RequestPriority.URGENT),
    **dict.fromkeys(("r", "thường", "thường quy"), RequestPriority.ROUTINE),
}
_ACTIONS: Mapping[str, OrderAction] = {
    **{action.value: action for action in OrderAction},
    "nw": OrderAction.NEW,
    "xo": OrderAction.CHANGE,
    "ca": OrderAction.CANCEL,
    "dc": OrderAction.DISCONTINUE,
    "hd": OrderAction.HOLD,
    "rl": OrderAction.RELEASE,
    "cm": OrderAction.COMPLETE,
}


class Columns(BaseModel):
    """Which column holds what: a header's name in CSV, a path from the row's element in XML. One may hold two things."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient_id: str = Field(description="The number of the patient's record.", examples=["MaBN"])
    citizen_number: str | None = Field(default=None, description="The 12-digit citizen identifier.")
    insurance_number: str | None = Field(default=None, description="The number of the health insurance card.")
    patient_name: str | None = Field(
        default=None, description="The whole name: its first word is the family name; `A^B` says which is which."
    )
    family_name: str | None = None
    given_name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    action: str | None = Field(
        default=None, description="What the row does to its order; without it the row states it."
    )
    stated_at: str | None = Field(
        default=None, description="When the sender says so; it puts an order's rows in sequence."
    )
    placer_order_number: str | None = Field(default=None, description="The number that the orderer gave (ORC-2).")
    filler_order_number: str | None = Field(default=None, description="The number that the RIS gave (ORC-3).")
    accession_number: str | None = None
    study_instance_uid: str | None = None
    service_code: str | None = None
    service_text: str | None = None
    modality: str | None = None
    body_part_code: str | None = None
    body_part_text: str | None = None
    priority: str | None = None
    scheduled_at: str | None = None
    scheduled_time: str | None = Field(default=None, description="Where date and time stand in two columns, the time.")
    visit_number: str | None = None
    patient_class: str | None = None
    patient_location: str | None = None
    ordering_provider_code: str | None = None
    ordering_provider_name: str | None = None
    clinical_information: str | None = None
    parent_order_number: str | None = None
    replaces_order_number: str | None = None

    @model_validator(mode="after")
    def _names_what_an_order_needs(self) -> Self:
        if not (self.placer_order_number or self.filler_order_number):
            raise ValueError("an order needs placer_order_number or filler_order_number")
        if not (self.service_code or self.service_text):
            raise ValueError("an order needs service_code or service_text")
        return self

    def named(self) -> Mapping[str, str]:
        """Return the column of each field that has one."""
        return {field: column for field, column in self if column is not None}


class Codes(BaseModel):
    """What a sender's words mean, each beside what is understood anyway; capitals make no difference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sexes: Mapping[str, str] = Field(default={}, description="To M, F, O or U.", examples=[{"1": "M", "2": "F"}])
    priorities: Mapping[str, RequestPriority] = Field(default={}, examples=[{"KC": "urgent"}])
    actions: Mapping[str, OrderAction] = Field(default={}, examples=[{"Hủy": "cancel"}])

    def sex(self, said: str) -> str:
        """Return what is said as a code of HL70001, or raise LookupError."""
        return str(_found(said, self.sexes, _SEXES))

    def priority(self, said: str) -> RequestPriority:
        """Return how soon, or raise LookupError."""
        return RequestPriority(_found(said, self.priorities, _PRIORITIES))

    def action(self, said: str) -> OrderAction:
        """Return what is done, or raise LookupError."""
        return OrderAction(_found(said, self.actions, _ACTIONS))

    @model_validator(mode="after")
    def _means_sexes(self) -> Self:
        if not set(self.sexes.values()) <= {"M", "F", "O", "U"}:
            raise ValueError("sexes: what a word means is M, F, O or U")
        return self


def _found(said: str, own: Mapping[str, Any], usual: Mapping[str, Any]) -> Any:
    """Look up without regard to case; what the link says comes first."""
    for codes in (own, usual):
        folded = {word.casefold(): meaning for word, meaning in codes.items()}
        if said.casefold() in folded:
            return folded[said.casefold()]
    raise LookupError
