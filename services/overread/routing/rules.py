"""A site's rules: which models a study is offered to. Pure; read from a TOML file, validated whole."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Lane
from overread.contracts.events.orders import OrderStatus, ServiceRequest

STAT_PRIORITIES = frozenset({"S", "A"})

_WORD = re.compile(r"[^\W_]+")


class RulesUnreadable(OverreadError):
    """The rule file can't be used; the message names the place."""


class Rule(BaseModel):
    """One rule: its conditions must all hold; a condition left out always holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    models: tuple[str, ...] = Field(min_length=1)
    modalities: tuple[str, ...] = ()
    description_words: tuple[str, ...] = ()
    service_codes: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    patient_classes: tuple[str, ...] = ()
    with_order: bool | None = None
    lane: Lane | None = None

    def fits(self, case: Case) -> bool:
        """Say whether every condition holds for the case."""
        study = case.study
        if study is None:
            return False
        description = _words(f"{study.study_description} {study.body_part_examined}")
        return (
            _any_of(self.modalities, set(study.modalities))
            and (not self.description_words or any(_words(word) in description for word in self.description_words))
            and _any_of(self.service_codes, {order.service.identifier for order in case.orders if order.service})
            and _any_of(self.procedures, set(_procedures(case)))
            and _any_of(self.body_parts, {order.procedure.body_part for order in case.orders if order.procedure})
            and _any_of(self.patient_classes, {order.patient_class for order in case.orders})
            and self.with_order in (None, bool(case.orders))
        )


@dataclass(frozen=True)
class Offer:
    """What offers a study to a model: a rule, or without one the mapping of a code that an order asks for."""

    why: str
    lane: Lane | None = None


class Rules(BaseModel):
    """A rule file, with the digest of its bytes for provenance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...] = Field(alias="rule")
    digest: str

    def rule_for(self, model_name: str, case: Case) -> Rule | None:
        """Return the first rule that offers the case's study to the model."""
        return next((rule for rule in self.rules if model_name in rule.models and rule.fits(case)), None)

    def offer(self, model_name: str, case: Case) -> Offer | None:
        """Return what offers the case's study to the model; a model that the mapping names counts like a rule's."""
        rule = self.rule_for(model_name, case)
        if rule is not None:
            return Offer(f"rule {rule.name!r}", rule.lane)
        named = next((order for order in case.orders if _asks_for(order, model_name)), None)
        return Offer(f"the mapping of {_service(named)} names the model") if named else None


def load(path: Path) -> Rules:
    """Read the rule file, or raise `RulesUnreadable` with the first fault and its place."""
    try:
        raw = path.read_bytes()
        return Rules.model_validate({**tomllib.loads(raw.decode()), "digest": codec.sha256(raw)})
    except ValidationError as error:
        fault = error.errors()[0]
        raise RulesUnreadable(f"{path.name}, {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    except (OSError, ValueError) as error:
        raise RulesUnreadable(f"{path.name}: {error}") from error


def lane_of(offered: Rule | Offer, case: Case) -> Lane:
    """Return the rule's lane, else the orders': S (STAT) and A (ASAP) of table HL70485 overtake the rest."""
    if offered.lane is not None:
        return offered.lane
    wanted = [order for order in case.orders if order.status is not OrderStatus.CANCELLED]
    return Lane.STAT if any(order.priority in STAT_PRIORITIES for order in wanted) else Lane.ROUTINE


def _procedures(case: Case) -> Iterator[str]:
    """Yield the mapped procedures of the case's orders, bare and with their system (`RPID16`, `RPID16^RADLEX`)."""
    for order in case.orders:
        if order.procedure is not None and order.procedure.identifier:
            yield order.procedure.identifier
            yield f"{order.procedure.identifier}^{order.procedure.coding_system}"


def _asks_for(order: ServiceRequest, model_name: str) -> bool:
    return model_name in (order.models or ()) and order.status is not OrderStatus.CANCELLED


def _service(order: ServiceRequest) -> str:
    """Return the sender's own code and its system, as OBR-4 has them, without the text."""
    said = order.service
    return f"service {said.identifier}^^{said.coding_system}".rstrip("^") if said else "an order"


def _any_of(wanted: tuple[str, ...], present: set[str]) -> bool:
    return not wanted or bool(set(wanted) & present)


def _words(text: str) -> str:
    """Return the words of `text`, folded for comparison, with a blank round each: only whole words are found."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    folded = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return f" {' '.join(_WORD.findall(folded))} "
