"""What `demo --keep` leaves unread: a case of each kind that the worklist tells apart, and why it is of that kind.

All of it is invented: phantoms under invented names, and orders that say that they are tests (MSH-11 T).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import FileDataset

from overread.cli.demo_study import DemoStudy, new_study, order_of
from overread.embedded.phantom import PhantomStudy, SyntheticPatient, make_phantom, make_water

SLICES, SIZE = 60, 192
SHARP_KERNEL = "SHARP"


@dataclass(frozen=True, kw_only=True)
class _Person:
    """One invented patient: the number in the list, a name that says so, and when they would have been born."""

    number: int
    given_name: str
    sex: str
    born: int

    def patient(self, now: datetime) -> SyntheticPatient:
        return SyntheticPatient(
            patient_id=f"THU{self.number:04d}",
            patient_name=f"THỬ NGHIỆM^{self.given_name}",
            birth_date=date(self.born, 1, 1),
            sex=self.sex,
            age_years=now.year - self.born,
            issuer_of_patient_id="DEMO",
        )

    def study(self, now: datetime, description: str, *, is_ordered: bool = True) -> PhantomStudy:
        accession_number = f"DEMO{self.number:02d}{now:%y%m%d%H%M}" if is_ordered else ""
        return new_study(accession_number, now, description)


def waiting_cases(now: datetime) -> list[DemoStudy]:
    """Return the cases in the order in which they are sent: the emergency comes last, and stands first in the list."""
    return [_routine(now), _sharp(now), _water(now), _unsolicited(now), _emergency(now)]


def _routine(now: datetime) -> DemoStudy:
    """Return a case that a model reads."""
    person = _Person(number=2, given_name="TRẦN THỊ HAI", sex="F", born=1971)
    study = person.study(now, "CT CHEST PHANTOM")
    return _case("routine", person, study, _chest(person, study, emphysema_share=0.02))


def _sharp(now: datetime) -> DemoStudy:
    """Return a case on which the model may not speak: under a sharp kernel healthy lung reads as emphysema."""
    person = _Person(number=3, given_name="LÊ VĂN BA", sex="M", born=1955)
    study = person.study(now, "CT CHEST PHANTOM, SHARP KERNEL")
    images = _chest(person, study, emphysema_share=0.08)
    for image in images:
        image.ConvolutionKernel, image.SeriesDescription = SHARP_KERNEL, "AXIAL SHARP SYNTHETIC"
    return _case("sharp kernel", person, study, images)


def _water(now: datetime) -> DemoStudy:
    """Return a case that the model declines: what was sent as a chest is the scanner's cylinder of water."""
    person = _Person(number=4, given_name="PHẠM THỊ TƯ", sex="F", born=1983)
    study = person.study(now, "CT CHEST, WATER PHANTOM")
    images = make_water(patient=person.patient(now), study=study)
    return _case("water", person, study, images)


def _unsolicited(now: datetime) -> DemoStudy:
    """Return images that nobody ordered; they are read all the same."""
    person = _Person(number=5, given_name="VÕ VĂN NĂM", sex="M", born=1964)
    study = person.study(now, "CT CHEST PHANTOM, NO ORDER", is_ordered=False)
    return _case("no order", person, study, _chest(person, study, emphysema_share=0.12), priority="")


def _emergency(now: datetime) -> DemoStudy:
    """Return a case whose order says STAT (TQ1-9 is S)."""
    person = _Person(number=6, given_name="ĐẶNG VĂN SÁU", sex="M", born=1949)
    study = person.study(now, "CT CHEST PHANTOM, EMERGENCY")
    return _case("STAT", person, study, _chest(person, study, emphysema_share=0.25), priority="S")


def _chest(person: _Person, study: PhantomStudy, *, emphysema_share: float) -> tuple[FileDataset, ...]:
    patient = person.patient(study.acquired_at)
    made = make_phantom(
        patient=patient, study=study, seed=person.number, slices=SLICES, size=SIZE, emphysema_share=emphysema_share
    )
    return made.datasets


def _case(
    name: str, person: _Person, study: PhantomStudy, images: Sequence[FileDataset], *, priority: str = "R"
) -> DemoStudy:
    number = f"K{person.number}{study.acquired_at:%y%m%d%H%M%S}"
    patient = person.patient(study.acquired_at)
    ordered = order_of(study, patient, number=number, modality="CT", priority=priority) if priority else ""
    return DemoStudy(
        name=name,
        datasets=images,
        order=ordered,
        accession_number=study.accession_number,
        study_instance_uid=study.study_instance_uid,
        truth=None,
    )
