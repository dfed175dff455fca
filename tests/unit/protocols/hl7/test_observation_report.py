"""ORU^R01 of laboratories, RIS and bedside devices: what is read of them, and what is no result."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.observation_report import ObservationReport, check_observation_reports
from overread.protocols.hl7.observation_report import read_observation_reports as read
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import an_oru
from tests.builders.results import a_monitor_reading, a_reader_report, a_result, an_obx

HANOI = timezone(timedelta(hours=7))


def the_report(raw: bytes, *, places: tuple[str, ...] = ()) -> ObservationReport:
    """Return the one report of a message."""
    (report,) = read(tokenise(raw), time_zone=HANOI, accession_places=places)
    return report


def test_laboratory_value_has_number_unit_range_flag_and_time() -> None:
    """OBX-3, 5, 6, 7, 8, 11; OBX-14 is OBR-7 where it is empty."""
    (result,) = the_report(a_result()).results

    assert (result.identifier.identifier, result.identifier.coding_system) == ("14682-9", "LN")
    assert (result.value, result.unit, result.reference_range, result.abnormal_flag) == ("126", "umol/L", "49-92", "H")
    assert (result.status, result.observed_at) == ("F", datetime(2026, 11, 22, 2, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value_type", "field", "said"),
    [
        ("NM", "126.0", "126.0"),
        ("SN", ">^90", ">90"),
        ("SN", "^1^:^128", "1:128"),
        ("CE", "POS^Dương tính^L", "Dương tính"),
        ("CWE", "POS~NEG", "POS\nNEG"),
        ("ST", "không\\T\\có", "không&có"),
        ("TX", "dòng một~dòng hai", "dòng một\ndòng hai"),
        ("TS", "202611221000", "202611221000"),
        ("DT", "20261122", "20261122"),
        ("", "126", "126"),
        ("ED", "LIS^AP^PDF^Base64^JVBERi0=", ""),
        ("RP", "https://lis.test/1^LIS^AP^PDF", ""),
    ],
)
def test_value_is_said_as_a_reader_would(value_type: str, field: str, said: str) -> None:
    """A document or picture inside the message is passed over, and counted."""
    report = the_report(a_result(an_obx(value=field, value_type=value_type)))

    assert report.results[0].value == said
    assert report.passed_over == (value_type in {"ED", "RP"})


def test_reader_report_names_order_study_and_reader() -> None:
    """OBR-2, OBR-3, OBR-18, OBR-25 and OBR-32 (NDL, subcomponents)."""
    report = the_report(a_reader_report("C"))

    assert (report.accession_number, report.status) == ("TEST-ACC-1", "C")
    assert report.placer_order_number is not None
    assert report.placer_order_number.entity_identifier == "TEST-PLACER-1"
    assert report.interpreter is not None
    assert (report.interpreter.family_name, report.interpreter.given_name) == ("MẪU", "MINH CHÂU")


@pytest.mark.parametrize(
    ("interpreter", "extra", "named"),
    [
        ("BS009&MẪU&MINH CHÂU^20261122", "", "MẪU"),
        ("BS009^MẪU^MINH CHÂU", "", "MẪU"),  # an XCN where NDL belongs
        ("", "PRT|1|AD||PI^Primary Interpreter^HL70912|BS009^MẪU^MINH CHÂU", "MẪU"),  # from v2.8 on
        ("", an_obx(observer="BS010^THỬ^BÁC SĨ"), "THỬ"),
    ],
)
def test_reader_is_found_where_each_version_has_them(interpreter: str, extra: str, named: str) -> None:
    """OBR-32 until v2.8, PRT from v2.7, OBX-16 in any."""
    report = the_report(a_reader_report(interpreter=interpreter, version="2.8") + f"{extra}\r".encode())

    assert report.interpreter is not None
    assert report.interpreter.family_name == named


def test_status_is_that_of_the_observations_where_obr_25_is_empty() -> None:
    """Some systems state it in OBX-11 alone; where these differ, there is none."""
    same = the_report(a_result(an_obx(), an_obx("2951-2^Sodium^LN"), status=""))
    mixed = the_report(a_result(an_obx(), an_obx("2951-2^Sodium^LN", status="P"), status=""))

    assert (same.status, mixed.status) == ("F", "")


def test_study_is_named_by_the_dicom_study_observation_or_zds() -> None:
    """DCM 113014 as dcm4che and others send it, or the segment of IHE RAD-4."""
    by_observation = an_obx("113014^DICOM Study^DCM", "1.2.3", value_type="ST", unit="", reference_range="")

    assert the_report(a_result(by_observation)).study_instance_uid == "1.2.3"
    assert the_report(a_result() + b"ZDS|1.2.4^RIS^Application^DICOM\r").study_instance_uid == "1.2.4"


def test_accession_number_is_read_where_the_link_keeps_it() -> None:
    """The link's places count, also a Z segment's."""
    raw = a_result(filler="ACC-7^RIS") + b"ZPA|1|A^ACC-8\r"

    assert the_report(raw, places=("OBR-3",)).accession_number == "ACC-7"
    assert the_report(raw, places=("ZPA-2.2", "OBR-3")).accession_number == "ACC-8"


def test_several_patients_in_one_message_keep_their_own_results() -> None:
    """PATIENT_RESULT repeats (7.3.1)."""
    second = a_result(patient_id="TEST-0002^^^HIS^PI").split(b"\r", 1)[1]

    reports = read(tokenise(a_result() + second), time_zone=HANOI)

    assert [report.patient.identifiers[0].id_number for report in reports] == ["TEST-0001", "TEST-0002"]


def test_monitor_reading_has_its_own_time() -> None:
    """OBX-14 comes before OBR-7."""
    (result,) = the_report(a_monitor_reading(minute=5)).results

    assert (result.identifier.coding_system, result.value) == ("MDC", "93")
    assert result.observed_at == datetime(2026, 11, 22, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize("status", ["R", "F", "C", "X"])
def test_what_overread_sent_is_known_again(status: str) -> None:
    """REQ-ELS-04: our own code stands in it, whoever hands it back under whatever name."""
    assert the_report(an_oru(status, put={"MSH-3": "RIS"})).is_from_overread
    assert not the_report(a_reader_report()).is_from_overread


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.6", "2.7", "2.8"])
def test_every_version_reads_the_same(version: str) -> None:
    """The fields that are taken stand in one place in all of them."""
    assert the_report(a_result(version=version)) == the_report(a_result(version="2.5.1"))


def test_times_that_are_none_count_as_not_said() -> None:
    """A value is none the worse for it."""
    (result,) = the_report(a_result(an_obx(at="yesterday"), birth_date="unknown")).results

    assert result.observed_at == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("segment", "condition"),
    [
        (b"PID", MessageErrorCondition.SEGMENT_SEQUENCE_ERROR),
        (b"OBR", MessageErrorCondition.SEGMENT_SEQUENCE_ERROR),
        (b"PID-3", MessageErrorCondition.REQUIRED_FIELD_MISSING),
    ],
)
def test_result_without_patient_or_observation_request_is_refused(
    segment: bytes, condition: MessageErrorCondition
) -> None:
    """The check at the door says what the reader would say."""
    raw = a_result()
    without = b"".join(line + b"\r" for line in raw.split(b"\r")[:-1] if not line.startswith(segment))
    without = raw.replace(b"TEST-0001^^^HIS^PI", b"^^^HIS^PI") if segment == b"PID-3" else without

    with pytest.raises(HL7Error) as refused:
        check_observation_reports(tokenise(without), time_zone=HANOI)

    assert refused.value.condition is condition
