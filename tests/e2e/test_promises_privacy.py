"""Promise 5: everything that says who the patient is goes in, and none of it comes out where it does not belong.

What is allowed: object names and the keys of `dicom.received` hold the UIDs of study and instance (DESIGN, Objects and
the map of topics); a log may name an object, and the intake's log a refused message by MSH-10, by which its sender finds
it again: nothing of it is kept here. Nothing else in any of these places names patient, order or study.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from overread.contracts.topics import DICOM_RECEIVED, TOPICS
from overread.embedded import kafka_admin
from overread.embedded.kafka import ADMIN
from overread.embedded.profile import HTTP_PORT, SERVICES
from tests.builders.hl7 import NAME
from tests.e2e.conftest import UP_LOG
from tests.e2e.hospital import Hospital, Visit
from tests.e2e.listeners import TraceCollector, TritonTap
from tests.e2e.scanning import named_in, number_of_all, spellings, studies_in
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

FAMILY_NAME, MIDDLE_NAME, GIVEN_NAME = "TÔN THẤT", "QUỐC ĐẠT", "HUỆ PHƯỢNG"
CITIZEN_ID, PHONE, BIRTH_DATE = "001099054321", "+84912345678", "19990512"
STREET, CITY = "17 NGÕ HÀNG BÔNG", "HƯƠNG THUỶ"
INSURANCE = "GD4797912345678"
EXPORT_SECONDS = 20.0
_REFUSED_CONTROL_ID = re.compile(rb'("message_control_id": ")[^"]*(".*"event": "message_refused")')
"""MSH-10 in the line that says why a message was refused, and in no other line."""
PIXEL_BYTES = 300_000
"""At least so much of a small phantom goes to its model."""


@dataclass(frozen=True)
class Told:
    """What the orders and images of every visit said: of patient and order, and the studies' UIDs.

    `words` and `uids` are of the visit that said everything, and what the numbers of all the others have in common.
    """

    words: tuple[str, ...]
    uids: tuple[str, ...]
    visits: Sequence[Visit]
    trace_id: bytes


@pytest.fixture(scope="module")
def told(hospital: Hospital) -> Told:
    """Return what was said of a visit that went the whole way and said everything that there is to say."""
    visit = hospital.admit()
    _say_everything(visit)
    hospital.order(visit, _order_that_says_everything(visit))
    hospital.scan(visit)
    hospital.user().sign(visit)
    hospital.final(visit)
    [case] = hospital.user().cases(visit)
    kept = "SELECT traceparent FROM report_heads WHERE case_id = $1::text::uuid"
    traceparent = hospital.row("review", kept, str(case["case_id"]))["traceparent"]
    words = (*_words(visit), *NAME.split("^"), number_of_all(hospital.visits))
    return Told(words, _uids(visit), hospital.visits, bytes.fromhex(traceparent.split("-")[1]))


def test_model_requests_name_nobody(triton_tap: TritonTap, told: Told) -> None:
    """The boundary is Triton's socket: pixels and declared attributes, under a random number."""
    requests = triton_tap.record.read_bytes()

    assert b"ModelInfer" in requests
    assert len(requests) > PIXEL_BYTES
    assert named_in({"requests": requests}, (*told.words, *told.uids)) == []
    assert studies_in({"requests": requests}, told.visits) == []


def test_no_log_names_anybody(hospital: Hospital, told: Told) -> None:
    """Services' and servers' logs alike, and what the supervisor says; a UID stands only in the name of an object."""
    logs = {path.name: path.read_bytes() for path in (hospital.endpoints.data.root / "logs").iterdir()}
    logs["hl7_intake.log"] = _REFUSED_CONTROL_ID.sub(rb"\1-\2", logs["hl7_intake.log"])

    without_objects = {name: _without_object_names(text, hospital.endpoints.site_id) for name, text in logs.items()}

    assert {"delivery.log", "kafka.log", "postgres.log", "triton.log", UP_LOG} <= set(logs)
    assert b"services healthy" in logs[UP_LOG]
    assert named_in(logs, told.words) == []
    assert named_in(without_objects, told.uids) == []
    assert studies_in(without_objects, told.visits) == []


def test_no_metric_names_anybody(hospital: Hospital, told: Told) -> None:
    """The page on the HTTP port, each service's own on its socket, and Triton's."""
    pages = dict(_metrics(hospital))

    assert len(pages) == len(SERVICES) + 2
    assert all(b"# HELP" in page for page in pages.values())
    assert named_in(pages, (*told.words, *told.uids)) == []
    assert studies_in(pages, told.visits) == []


@pytest.mark.parametrize("service", ["routing", "inference_worker", "review", "delivery"])
def test_no_trace_names_anybody(traces: TraceCollector, told: Told, service: str) -> None:
    """What the services export to a collector; those of this visit's trace are among it."""
    wait_until(lambda: _exported(traces, service, told.trace_id), f"{service}'s spans of the visit", EXPORT_SECONDS)

    exported = {"traces": b"".join(traces.exports)}

    assert named_in(exported, (*told.words, *told.uids)) == []
    assert studies_in(exported, told.visits) == []


def _exported(traces: TraceCollector, service: str, trace_id: bytes) -> bool:
    name = f"overread.{service}".encode()
    return any(name in export and trace_id in export for export in list(traces.exports))


def test_no_header_and_no_key_of_a_record_names_anybody(hospital: Hospital, told: Told) -> None:
    """Every record of every topic, dead letters too: a header holds no value, a key only what the map says."""
    keys, headers = _keys_and_headers(hospital)
    others = {
        name: found for name, found in keys.items() if name not in (DICOM_RECEIVED.name, DICOM_RECEIVED.dead_name)
    }

    assert {DICOM_RECEIVED.name, "reports.signed", "deliveries.done"} <= keys.keys()
    assert told.uids[0].encode() in keys[DICOM_RECEIVED.name]
    assert named_in(headers, (*told.words, *told.uids)) == []
    assert named_in(keys, told.words) == []
    assert named_in(others, told.uids) == []
    assert studies_in(headers | others, told.visits) == []


def test_no_name_of_an_object_names_anybody(hospital: Hospital, told: Told) -> None:
    """Objects are named by site, study, instance and receipt; hospitals' numbers are in none of them."""
    root = hospital.endpoints.objects
    names = "\n".join(path.relative_to(root).as_posix() for path in root.rglob("*")).encode()

    assert told.uids[0].encode() in names
    assert named_in({"objects": names}, told.words) == []


def test_scan_finds_what_it_looks_for(told: Told) -> None:
    """A scan that finds nothing anywhere proves nothing: each word is found in each of its spellings."""
    for word in (*told.words, *told.uids):
        for spelling in spellings(word):
            assert named_in({"planted": b"\x00..." + spelling + b"...\x00"}, [word]) == [f"planted: {word}"]


def _say_everything(visit: Visit) -> None:
    for dataset in visit.datasets:
        dataset.PatientName = f"{FAMILY_NAME}^{GIVEN_NAME}^{MIDDLE_NAME}"
        dataset.OtherPatientIDs = CITIZEN_ID
        dataset.PatientTelephoneNumbers = PHONE
        dataset.PatientAddress = f"{STREET}, {CITY}"
        dataset.PatientComments = f"{INSURANCE} {FAMILY_NAME} {GIVEN_NAME}"
        dataset.AdmissionID = INSURANCE
        block = dataset.private_block(0x0011, "A VENDOR", create=True)
        block.add_new(0x01, "LO", f"{FAMILY_NAME} {GIVEN_NAME} {CITIZEN_ID}")


def _order_that_says_everything(visit: Visit) -> bytes:
    """Return the visit's order with identifiers, telephone and address; its images' numbers agree with it."""
    known = visit.order.decode()
    identifiers = f"{visit.patient_id}^^^BVX^MR~{CITIZEN_ID}^^^VNBCA^NI~{INSURANCE}^^^VSS^SS"
    name = f"{FAMILY_NAME}^{GIVEN_NAME}^{MIDDLE_NAME}^^^^L"
    pid = f"PID|1||{identifiers}||{name}||{BIRTH_DATE}|M|||{STREET}^^{CITY}^^^VN||{PHONE}"
    return "".join(f"{pid if line.startswith('PID') else line}\r" for line in known.split("\r") if line).encode()


def _words(visit: Visit) -> tuple[str, ...]:
    date_forms = (BIRTH_DATE, "1999-05-12", "12/05/1999", "12-05-1999")
    names = (FAMILY_NAME, MIDDLE_NAME, GIVEN_NAME, f"{GIVEN_NAME} {FAMILY_NAME}", "PHƯỢNG")
    places = (STREET, CITY, PHONE, PHONE.removeprefix("+84"))
    numbers = (CITIZEN_ID, INSURANCE, visit.patient_id, visit.accession_number, visit.placer_order_number)
    return (*names, *date_forms, *places, *numbers, visit.known["control_id"])


def _uids(visit: Visit) -> tuple[str, ...]:
    """Return the study's UID first: those of series and instances begin with it, so it finds them all."""
    return (visit.study_instance_uid,)


def _without_object_names(text: bytes, site_id: str) -> bytes:
    """Return a log without the names of objects: `site/studies/study/instance/receipt`."""
    begin = f"{site_id}/studies/".encode()
    pieces = text.split(begin)
    return pieces[0] + b"".join(b" ".join(piece.split(b'"', 1)[1:]) for piece in pieces[1:])


def _metrics(hospital: Hospital) -> Iterator[tuple[str, bytes]]:
    page = httpx.get(
        f"http://127.0.0.1:{HTTP_PORT + hospital.endpoints.ports.offset}/metrics",
        headers={"Authorization": f"Bearer {hospital.user('ops').token()}"},
        trust_env=False,
    )
    yield "HTTP port", page.raise_for_status().content
    yield "triton", httpx.get(f"http://{hospital.endpoints.triton_metrics}/metrics", trust_env=False).content
    for service in SERVICES:
        transport = httpx.HTTPTransport(uds=str(hospital.endpoints.health_socket(service)))
        with httpx.Client(transport=transport, trust_env=False) as client:
            yield service, client.get("http://socket/metrics").raise_for_status().content


def _keys_and_headers(hospital: Hospital) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the keys and the headers of every record that the broker keeps, by topic, a line each."""
    keys: dict[str, list[bytes]] = {}
    headers: dict[str, list[bytes]] = {}
    with _everything(hospital) as records:
        for record in records:
            keys.setdefault(record.topic(), []).append(record.key() or b"")
            pairs = (f"{name}=".encode() + (value or b"") for name, value in record.headers() or ())
            headers.setdefault(record.topic(), []).extend(pairs)
    return _in_lines(keys), _in_lines(headers)


def _in_lines(found: Mapping[str, list[bytes]]) -> dict[str, bytes]:
    return {name: b"\n".join(each) for name, each in found.items()}


@contextmanager
def _everything(hospital: Hospital) -> Iterator[Iterator[Any]]:
    endpoints = hospital.endpoints
    reader = Consumer(
        {
            **kafka_admin.connection(endpoints.ports.kafka, ADMIN, endpoints.kafka_password(ADMIN)),
            "group.id": "a reader of everything",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    known = reader.list_topics(timeout=10).topics
    names = [name for topic in TOPICS for name in (topic.name, topic.dead_name)]
    places = [TopicPartition(name, number, OFFSET_BEGINNING) for name in names for number in known[name].partitions]
    reader.assign(places)
    try:
        yield _until_the_ends(reader, len(places))
    finally:
        reader.close()


def _until_the_ends(reader: Any, places: int) -> Iterator[Any]:
    while places:
        record = reader.poll(10.0)
        assert record is not None, "the broker said nothing for 10 s"
        if record.error() is None:
            yield record
        else:
            assert record.error().code() == KafkaError._PARTITION_EOF, record.error()  # its documented name
            places -= 1
