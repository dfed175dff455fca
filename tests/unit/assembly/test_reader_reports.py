"""A reader's report of another system: which case it is about, and whether it stands."""

from typing import Any

import pytest

from overread.assembly import reader_reports
from overread.assembly.reader_reports import CaseNames, ReaderReport
from overread.contracts.errors import Malformed
from overread.protocols.hl7.observation_report import read_observation_reports
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.events import STUDY, a_patient, a_service_request, an_hl7_received
from tests.builders.orders import HANOI
from tests.builders.results import a_reader_report


def the_report(status: str = "F", minute: int = 30, **known: str) -> ReaderReport:
    """Return the report of one message."""
    raw = a_reader_report(status, minute, **known)
    (report,) = read_observation_reports(tokenise(raw), time_zone=HANOI)
    return reader_reports.reader_report(report, an_hl7_received(raw, link_id="ris", sending_application="RIS"))


def the_case(**changed: Any) -> CaseNames:
    """Return the case of the order and study that the report names."""
    fields: dict[str, Any] = {
        "study_instance_uid": STUDY,
        "patient": a_patient(),
        "is_synthetic": False,
        "accession_numbers": frozenset({"TEST-ACC-1"}),
        "orders": (a_service_request(),),
    }
    return CaseNames(**(fields | changed))


@pytest.mark.parametrize(
    ("known", "is_about"),
    [
        ({}, True),
        ({"accession": ""}, True),  # by ORC-2, OBR-2
        ({"accession": "", "placer": "TEST-PLACER-1"}, True),  # the system isn't named
        ({"accession": "", "placer": "", "filler": "TEST-ACC-1^RIS"}, True),  # the accession number as filler number
        ({"accession": "OTHER"}, False),  # another exam under the same placer number
        ({"accession": "", "placer": "TEST-PLACER-1^OTHER"}, False),
        ({"accession": "", "placer": "OTHER^HIS"}, False),
    ],
)
def test_report_is_about_the_case_that_its_numbers_name(known: dict[str, Any], is_about: bool) -> None:  # noqa: FBT001 - a row of the table
    """REQ-ELS-01: by the accession number, else by an order's number of the same system."""
    assert reader_reports.is_about(the_report(**known), the_case()) is is_about


@pytest.mark.parametrize(("status", "stands"), [("F", True), ("C", True), ("P", False), ("R", False), ("X", False)])
def test_only_a_final_report_closes(status: str, stands: bool) -> None:  # noqa: FBT001 - as above
    """A preliminary one of a reader leaves the task open."""
    assert bool(reader_reports.standing([the_report(status)], the_case())) is stands


def test_standing_report_says_who_and_when_and_nothing_of_its_text() -> None:
    """The newest of several is named."""
    first, second = the_report(minute=10), the_report("C", minute=40, filler="TEST-FILLER-2^RIS")

    reading = reader_reports.standing([second, first], the_case())

    assert reading is not None
    assert (reading.reporter, reading.status, reading.link_id) == ("MẪU MINH CHÂU", "C", "ris")
    assert set(type(reading).model_fields) == {"reporter", "status", "reported_at", "link_id", "sending_application"}


@pytest.mark.parametrize("known", [{"patient_id": "TEST-0002^^^HIS^PI"}, {"processing_id": "T"}])
def test_report_of_another_patient_and_a_test_close_nothing(known: dict[str, Any]) -> None:
    """REQ-ELS-05: a wrong accession number must not close another patient's case."""
    assert reader_reports.standing([the_report(**known)], the_case()) is None


def test_report_that_names_nothing_is_set_aside() -> None:
    """Nothing vanishes: it becomes a dead letter with its reason."""
    with pytest.raises(Malformed, match="names no order"):
        the_report(accession="", placer="", filler="")
