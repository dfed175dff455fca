"""ServiceRequest in, without front and broker: what each element becomes, each answer, each refusal with its place."""

import base64
import json
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement, RequestPriority
from overread.contracts.events.orders import CodedElement, PatientIdentifier
from overread.protocols.fhir.service_request import ACTIONS
from tests.builders.fhir_orders import (
    ABSENT,
    a_fhir_bundle,
    a_fhir_patient,
    a_fhir_request,
    a_practitioner,
    an_identifier,
    to,
)
from tests.fakes.order_intake import OrderBroker, an_order_intake, an_orders_client

AS_FHIR = {"content-type": "application/fhir+json"}
PATH = "/fhir/ServiceRequest"


async def sent(
    broker: OrderBroker, *bodies: Any, path: str = PATH, method: str = "POST", headers: dict[str, str] | None = None
) -> list[httpx.Response]:
    """Return the answers to bodies that are sent one after another to one intake."""
    async with an_orders_client(an_order_intake(broker)) as client:
        return [
            await client.request(method, path, content=json.dumps(body).encode(), headers=AS_FHIR | (headers or {}))
            for body in bodies
        ]


async def read(**changed: Any) -> OrderStatement:
    """Return the statement that a request makes."""
    broker = OrderBroker()
    (answer,) = await sent(broker, a_fhir_request(**changed))
    assert answer.status_code == 201, answer.text
    statement: OrderStatement = broker.events[0].data.statement
    return statement


def places(answer: httpx.Response) -> list[str]:
    """Return the FHIRPath of each fault."""
    return [expression for issue in answer.json()["issue"] for expression in issue.get("expression", [])]


async def test_each_element_of_a_request_becomes_what_hl7_would_say() -> None:
    """REQ-NON-07: numbers by their types, patient and authority, service, modality, visit, requester, reason."""
    statement = await read()

    assert statement == OrderStatement(
        action=OrderAction.NEW,
        placer=OrderNumber(number="TEST-PLACER-1", namespace="https://his.test/orders"),
        accession_number="TEST-ACC-1",
        study_instance_uid="1.2.826.0.1.3680043.10.1338.1",
        service=CodedElement(identifier="24627-2", text="CT Chest", coding_system="LN"),
        modality="CT",
        body_part=CodedElement(identifier="51185008", text="Thoracic", coding_system="SCT"),
        priority=RequestPriority.STAT,
        scheduled_at=datetime(2026, 11, 22, 3, tzinfo=UTC),
        patient=statement.patient,
        visit_number="V0077",
        patient_class="O",
        patient_location="KHOA CDHA",
        ordering_provider=CodedElement(identifier="BS001", text="MẪU^BÁC SĨ"),
        clinical_information="Ho kéo dài",
    )
    patient = statement.patient
    assert patient.identifiers == (
        PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="PI"),
    )
    assert (patient.family_name, patient.given_name, patient.sex) == ("THỬ NGHIỆM", "NGUYỄN VĂN", "M")
    assert patient.birth_date == date(1970, 1, 1)


@pytest.mark.parametrize(("status", "action"), sorted(ACTIONS.items()))
async def test_each_status_is_an_action(status: str, action: OrderAction) -> None:
    """REQ-NON-07: request-status, as far as it is an order's."""
    assert (await read(status=status)).action is action


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"status": "draft"}, "ServiceRequest.status"),
        ({"status": "unknown"}, "ServiceRequest.status"),
        ({"status": "signed"}, "ServiceRequest.status"),
        ({"status": ABSENT}, "ServiceRequest.status"),
        ({"intent": "proposal"}, "ServiceRequest.intent"),
        ({"doNotPerform": True}, "ServiceRequest.doNotPerform"),
        ({"priority": "soon"}, "ServiceRequest.priority"),
        ({"identifier": ABSENT}, "ServiceRequest.identifier"),
        ({"identifier": "one"}, "ServiceRequest.identifier"),
        ({"identifier": [an_identifier("PLAC", "x" * 200)]}, "ServiceRequest.identifier[0].value"),
        ({"code": ABSENT}, "ServiceRequest.code"),
        ({"subject": ABSENT}, "ServiceRequest.subject"),
        ({"subject": {"reference": "Patient/7"}}, "ServiceRequest.subject"),
        ({"subject": {"reference": "#doctor"}}, "ServiceRequest.subject"),
        ({"subject": {"identifier": {"system": "https://his.test/mrn"}}}, "ServiceRequest.subject"),
        ({"contained": [{"id": "patient", **a_fhir_patient(gender="man")}]}, "ServiceRequest.contained[0].gender"),
        (
            {"contained": [{"id": "patient", **a_fhir_patient(birthDate="1970-13-01")}]},
            "ServiceRequest.contained[0].birthDate",
        ),
        ({"occurrenceDateTime": "2026-11-22T10:00:00"}, "ServiceRequest.occurrenceDateTime"),
        ({"occurrenceDateTime": "tomorrow"}, "ServiceRequest.occurrenceDateTime"),
        (
            {"modifierExtension": [{"url": "https://his.test/not", "valueBoolean": True}]},
            "ServiceRequest.modifierExtension",
        ),
        ({"implicitRules": "https://his.test/rules"}, "ServiceRequest.implicitRules"),
        ({"reasonCode": [{"text": "Ho\0"}]}, "ServiceRequest.reasonCode"),
        ({"contained": [{"id": "patient", **a_fhir_patient(name=[{"family": "A\0B"}])}]}, "ServiceRequest.subject"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_its_fhirpath(changed: dict[str, Any], place: str) -> None:
    """REQ-NON-07: OperationOutcome with expression and a plain sentence, and nothing is kept."""
    broker = OrderBroker()

    (answer,) = await sent(broker, a_fhir_request(**changed))

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert places(answer) == [place]
    assert broker.records == []


async def test_a_draft_is_refused_with_the_reason() -> None:
    """REQ-NON-07: it is no order yet; who sends it is told when to send it again."""
    (answer,) = await sent(OrderBroker(), a_fhir_request(status="draft"))

    (issue,) = answer.json()["issue"]
    assert (issue["code"], "no order yet" in issue["details"]["text"]) == ("business-rule", True)


async def test_a_created_order_says_where_it_is_and_its_repeat_is_200() -> None:
    """REQ-NON-07: 201 with Location and ETag; the same content again is the same order, with the same answer."""
    first, again = await sent(OrderBroker(), a_fhir_request(), a_fhir_request())

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"].startswith("/fhir/ServiceRequest/")
    assert [first.headers[name] for name in ("location", "etag", "last-modified")] == [
        again.headers[name] for name in ("location", "etag", "last-modified")
    ]


async def test_a_conditional_create_takes_what_came_first() -> None:
    """REQ-NON-07: If-None-Exist (R4, create): whoever comes second is told 200, and changes nothing."""
    broker = OrderBroker()
    condition = {"if-none-exist": "identifier=https://his.test/orders|TEST-PLACER-1"}

    answers = await sent(broker, a_fhir_request(), a_fhir_request(status="revoked"), headers=condition)

    assert [answer.status_code for answer in answers] == [201, 200]
    assert len(broker.records) == 1


async def test_updates_without_a_version_all_count_and_with_one_a_repeat_is_known() -> None:
    """REQ-NON-07: held, released and held again says the same twice, and both count."""
    broker = OrderBroker()
    held, active = (a_fhir_request(id="o1", status=status) for status in ("on-hold", "active"))
    versioned = a_fhir_request(id="o1", meta={"versionId": "7", "lastUpdated": "2026-11-22T09:00:00Z"})

    await sent(broker, held, active, held, path=f"{PATH}/o1", method="PUT")
    answers = await sent(broker, versioned, versioned, path=f"{PATH}/o1", method="PUT")

    assert [event.data.statement.action.value for event in broker.events] == ["hold", "new", "hold", "new"]
    assert broker.events[-1].data.statement.stated_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_an_update_names_what_it_holds_and_its_id_stands_in_for_a_number() -> None:
    """R4, update: the id of the URL is that of the resource; a sender without identifiers has at least that."""
    broker = OrderBroker()

    wrong, right = [
        (await sent(broker, a_fhir_request(id="o1", identifier=ABSENT), path=f"{PATH}/{name}", method="PUT"))[0]
        for name in ("o2", "o1")
    ]

    assert (wrong.status_code, right.status_code) == (400, 200)
    assert broker.events[0].data.statement.placer == OrderNumber(number="o1", namespace="his")


async def test_a_transaction_brings_its_patient_and_keeps_each_order() -> None:
    """REQ-NON-07: ServiceRequest + Patient + Practitioner, an entry answered for each that was sent."""
    broker = OrderBroker()
    request = a_fhir_request(contained=ABSENT, encounter=ABSENT, subject=to(0), requester=to(1))

    (answer,) = await sent(broker, a_fhir_bundle(a_fhir_patient(), a_practitioner(), request), path="/fhir")

    said = answer.json()
    assert (answer.status_code, said["type"]) == (200, "transaction-response")
    assert [entry["response"]["status"] for entry in said["entry"]] == ["201 Created"] * 3
    statement = broker.events[0].data.statement
    assert statement.patient.identifiers[0].id_number == "TEST-0001"
    assert statement.ordering_provider == CodedElement(identifier="BS001", text="MẪU^BÁC SĨ")


@pytest.mark.parametrize(
    ("resources", "place"),
    [
        ([a_fhir_request(), a_fhir_request(status="draft")], "Bundle.entry[1].resource.status"),
        ([a_fhir_request(), {"resourceType": "Observation"}], "Bundle.entry[1].resource.resourceType"),
        ([a_fhir_request(), a_fhir_patient()], "Bundle.entry[1].resource"),
    ],
)
async def test_a_transaction_keeps_all_or_nothing(resources: list[dict[str, Any]], place: str) -> None:
    """REQ-NON-07: one fault anywhere, and nothing of it is kept; what nobody refers to is not lost in silence."""
    broker = OrderBroker()

    (answer,) = await sent(broker, a_fhir_bundle(*resources), path="/fhir")

    assert answer.status_code == 422
    assert places(answer) == [place]
    assert broker.records == []


async def test_a_batch_answers_each_for_itself() -> None:
    """REQ-NON-07: batch-response, and what is right is kept."""
    broker = OrderBroker()
    requests = [a_fhir_request(), a_fhir_request(intent="plan")]

    (answer,) = await sent(broker, a_fhir_bundle(*requests, kind="batch"), path="/fhir")

    assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == ["201", "422"]
    assert len(broker.records) == 1


def some_orders_of_one_patient(count: int, **changed: Any) -> dict[str, Any]:
    """Return a Bundle whose orders all refer to the patient in its first entry."""
    requests = [
        a_fhir_request(
            contained=ABSENT, encounter=ABSENT, requester=ABSENT, subject=to(0), reasonCode=[{"text": str(n)}]
        )
        for n in range(count)
    ]
    return a_fhir_bundle(a_fhir_patient(**changed), *requests, kind="batch")


async def test_the_narrative_and_the_picture_of_a_patient_are_not_kept_with_each_order() -> None:
    """REQ-NON-12: a body of 2 MiB whose orders share one patient would be kept as hundreds."""
    broker = OrderBroker()
    told = {"text": {"status": "generated", "div": "x" * 100_000}, "photo": [{"data": "eHh4" * 25_000}]}

    (answer,) = await sent(broker, some_orders_of_one_patient(3, **told), path="/fhir")

    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["201 Created"] * 4
    assert [event.data.statement.patient.family_name for event in broker.events] == ["THỬ NGHIỆM"] * 3
    assert max(len(base64.b64decode(event.data.raw_base64)) for event in broker.events) < 10_000


async def test_an_order_that_refers_to_too_much_is_refused_and_nothing_of_it_kept() -> None:
    """REQ-NON-12: what is kept with each order is bounded, and said to be."""
    broker = OrderBroker()
    told = {"extension": [{"url": "https://his.test/x", "valueString": "x" * 100_000}]}

    (answer,) = await sent(broker, some_orders_of_one_patient(2, **told), path="/fhir")

    statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert statuses == ["201 Created", "422", "422"]
    assert broker.records == []


async def test_an_order_that_replaces_another_and_a_child_name_them() -> None:
    """ServiceRequest.replaces and basedOn, by identifier."""
    statement = await read(
        replaces=[{"identifier": an_identifier("PLAC", "TEST-PLACER-0")}],
        basedOn=[{"identifier": an_identifier("PLAC", "TEST-PARENT")}],
    )

    assert statement.replaces == OrderNumber(number="TEST-PLACER-0", namespace="https://his.test/orders")
    assert statement.parent == OrderNumber(number="TEST-PARENT", namespace="https://his.test/orders")


async def test_test_data_is_marked_as_such() -> None:
    """meta.security HTEST, as our own results say it."""
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]

    assert (await read(meta={"security": security})).is_synthetic


@pytest.mark.parametrize(
    ("headers", "status"), [({"content-type": "application/fhir+xml"}, 415), ({"accept": "application/fhir+xml"}, 406)]
)
async def test_only_json_is_spoken(headers: dict[str, str], status: int) -> None:
    """The CapabilityStatement says so."""
    (answer,) = await sent(OrderBroker(), a_fhir_request(), headers=headers)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", f"{PATH}/1", 405), ("DELETE", f"{PATH}/1", 405), ("GET", "/fhir/Patient/1", 404)],
)
async def test_what_is_not_done_here_is_said_in_fhirs_words(method: str, path: str, status: int) -> None:
    """No read, no search, no delete: an OperationOutcome too."""
    (answer,) = await sent(OrderBroker(), {}, path=path, method=method)

    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert "sent by POST or PUT to /fhir/ServiceRequest" in answer.text


@pytest.mark.parametrize("body", [b'{"resourceType": "\\ud800"}', b'{"resourceType": %s}' % (b"9" * 5_000)])
async def test_what_cannot_be_written_again_is_refused_in_fhirs_words(body: bytes) -> None:
    """REQ-NON-07: half of a surrogate pair, and a number that is too long to be read."""
    async with an_orders_client(an_order_intake(OrderBroker())) as client:
        answer = await client.post(PATH, content=body, headers=AS_FHIR)

    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


async def test_what_the_broker_cannot_keep_is_503() -> None:
    """REQ-NON-01: the outcome says that it is to be sent again."""
    broker = OrderBroker()
    broker.is_away = True

    (answer,) = await sent(broker, a_fhir_request())

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")


async def test_capabilities_name_what_is_done() -> None:
    """REQ-NON-07: CapabilityStatement at /fhir/metadata."""
    async with an_orders_client(an_order_intake(OrderBroker())) as client:
        said = (await client.get("/fhir/metadata")).json()

    assert (said["resourceType"], said["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
