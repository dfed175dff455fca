"""How likely an order belongs to a study, from 0 to 100, and why. Pure; it ranks what a person looks at and links nothing.

A reason is a code with what it is about; the page says it in words. Points against are as plain as points for.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from overread.assembly import patients
from overread.assembly.near_numbers import nearness
from overread.contracts.events.orders import Patient, ServiceRequest

HIGHEST = 100
WORTH_SHOWING = 15

_NEAR_HOURS, _DAY_HOURS, _FAR_HOURS = 2.0, 24.0, 24.0 * 7
_SHORTEST_WORD = 3

_BODY_PARTS = {
    "NGUC": "CHEST",
    "PHOI": "CHEST",
    "LUNG": "CHEST",
    "THORAX": "CHEST",
    "NAO": "HEAD",
    "BRAIN": "HEAD",
    "BUNG": "ABDOMEN",
    "GAN": "ABDOMEN",
    "LIVER": "ABDOMEN",
    "SONG": "SPINE",
    "GOI": "KNEE",
    "VAI": "SHOULDER",
    "HONG": "HIP",
    "CHAU": "PELVIS",
}
"""Words of requests as scanners write them in Body Part Examined (PS3.16, annex L), folded."""


@dataclass(frozen=True, kw_only=True)
class OrderSide:
    """The order as it is compared: `patient` as stated, `known` with all numbers that ADT knows."""

    order: ServiceRequest
    patient: Patient
    known: Patient


@dataclass(frozen=True, kw_only=True)
class StudySide:
    """What the images say, in the same way; `study_date_time` is local time (ISO 8601), empty where not said."""

    study_instance_uid: str
    accession_numbers: frozenset[str]
    patient: Patient
    known: Patient
    modalities: tuple[str, ...] = ()
    body_part_examined: str = ""
    study_description: str = ""
    study_date_time: str = ""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One thing that speaks for or against: which field, in what way, and what it counts."""

    code: str
    field: str
    points: int
    params: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Score:
    """All that was compared; what nobody said counts nothing."""

    reasons: tuple[Reason, ...]

    @property
    def points(self) -> int:
        """Return the sum, from 0 to 100."""
        return max(0, min(HIGHEST, sum(reason.points for reason in self.reasons)))


def score(order: OrderSide, study: StudySide, time_zone: tzinfo) -> Score:
    """Compare an order with a study in everything that both say."""
    reasons = (
        *_study_uid(order, study),
        *_accession(order, study),
        *_identifiers(order, study),
        *_name(order, study),
        *_birth_date(order, study),
        *_sex(order, study),
        *_modality(order, study),
        *_procedure(order, study),
        *_time(order, study, time_zone),
    )
    return Score(reasons=reasons)


def _study_uid(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    named = order.order.study_instance_uid
    if named == study.study_instance_uid:
        yield Reason(code="study_uid_same", field="study_instance_uid", points=45)
    elif named:
        yield Reason(code="study_uid_differs", field="study_instance_uid", points=-10)


def _accession(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    number, carried = order.order.accession_number, study.accession_numbers
    if not number or not carried:
        return
    if number in carried:
        yield Reason(code="accession_same", field="accession_number", points=40)
        return
    slips = sorted(filter(None, (nearness(number, other) for other in carried)))
    if slips:
        yield Reason(code="accession_near", field="accession_number", points=20, params={"slip": slips[0]})
    else:
        yield Reason(code="accession_differs", field="accession_number", points=-10)


def _identifiers(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    if patients.share_an_identifier(order.patient, study.patient):
        yield Reason(code="identifier_same", field="identifiers", points=25)
    elif patients.share_an_identifier(order.known, study.known):
        yield Reason(code="identifier_alias", field="identifiers", points=22)
    elif patients.have_comparable_identifiers(order.known, study.known):
        yield Reason(code="identifiers_differ", field="identifiers", points=-30)


def _name(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    ordered, imaged = (set(patients.folded_name(side.patient).split()) for side in (order, study))
    if not ordered or not imaged:
        return
    if ordered == imaged:
        yield Reason(code="name_same", field="name", points=12)
    elif ordered < imaged or imaged < ordered:
        yield Reason(code="name_part", field="name", points=6)
    else:
        yield Reason(code="names_differ", field="name", points=-15)


def _birth_date(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    ordered, imaged = order.patient.birth_date, study.patient.birth_date
    if not ordered or not imaged:
        return
    if ordered == imaged:
        yield Reason(code="birth_date_same", field="birth_date", points=10)
    elif (ordered.year, ordered.month, ordered.day) == (imaged.year, imaged.day, imaged.month):
        yield Reason(code="birth_date_swapped", field="birth_date", points=5)
    elif ordered.year == imaged.year and {(1, 1)} & {(d.month, d.day) for d in (ordered, imaged)}:
        yield Reason(code="birth_year_same", field="birth_date", points=4)
    else:
        yield Reason(code="birth_dates_differ", field="birth_date", points=-15)


def _sex(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    ordered, imaged = order.patient.sex, study.patient.sex
    if {ordered, imaged} <= {"M", "F"}:
        is_same = ordered == imaged
        yield Reason(code="sex_same" if is_same else "sexes_differ", field="sex", points=2 if is_same else -10)


def _modality(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    wanted, made = order.order.modality, _same_kind(study.modalities)
    if wanted and made:
        fits = bool(_same_kind((wanted,)) & made)
        code = "modality_same" if fits else "modality_differs"
        yield Reason(code=code, field="modality", points=6 if fits else -15)


def _procedure(order: OrderSide, study: StudySide) -> Iterator[Reason]:
    service = order.order.service
    wanted = _words((service.text,)) if service else frozenset()
    made = _words((study.body_part_examined, study.study_description))
    if wanted and made and wanted & made:
        yield Reason(code="procedure_alike", field="procedure", points=5)


def _time(order: OrderSide, study: StudySide, time_zone: tzinfo) -> Iterator[Reason]:
    planned, made = order.order.scheduled_at, _moment(study.study_date_time, time_zone)
    if planned is None or made is None:
        return
    hours = abs((made - planned).total_seconds()) / 3600
    params = {"hours": f"{hours:.0f}"}
    if hours <= _NEAR_HOURS:
        yield Reason(code="time_near", field="time", points=8, params=params)
    elif hours <= _DAY_HOURS:
        yield Reason(code="time_same_day", field="time", points=4, params=params)
    elif hours > _FAR_HOURS:
        yield Reason(code="time_far", field="time", points=-8, params=params)


def _moment(said: str, time_zone: tzinfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=time_zone)


def _same_kind(modalities: Iterable[str]) -> frozenset[str]:
    """Return modalities under one word for projection radiography, which has three (PS3.3, C.7.3.1.1.1)."""
    return frozenset("DX" if one in {"CR", "DX", "RG"} else one for one in modalities if one)


def _words(texts: Sequence[str]) -> frozenset[str]:
    words = (word for text in texts for word in patients.fold(text).split() if len(word) >= _SHORTEST_WORD)
    return frozenset(_BODY_PARTS.get(word, word) for word in words)
