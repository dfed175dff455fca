"""What a destination's messages are like, as data: where the accession number stands, who is named, which messages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import ReportDocument, Withdrawal
from overread.delivery import gate, oru_form
from overread.delivery.destinations import DestinationsRefused, parse
from overread.delivery.gate import Held, Released
from overread.delivery.rendering import written
from overread.delivery.sequence import Position, Status
from overread.delivery.telling import Telling
from overread.protocols.hl7 import mdm, order_status
from overread.protocols.hl7.order_status import OrderStatus
from overread.protocols.hl7.oru_content import TakenBack
from overread.protocols.hl7.tokenise import Message, tokenise
from tests.builders.delivery import a_destination, a_release_request, a_telling, some_circumstances
from tests.builders.events import a_case, a_patient, a_service_request, a_signed_document

ALL_FORMS = ["oru", "mdm", "order_status"]
CITIZEN = PatientIdentifier(id_number="001070000001", assigning_authority="VNBCA", identifier_type_code="NI")
INSURED = PatientIdentifier(id_number="TEST-HC-1", assigning_authority="BHXH", identifier_type_code="HC")
RECORD = PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="MR")

LISTED = """
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
{entry}
"""


def said_by(telling: Telling[Any]) -> dict[str, bytes]:
    """Return each message by its form, read back without a difference."""
    messages = {}
    for form, message in written(telling):
        assert list(form.unlike(message, telling)) == []
        messages[message.form] = message.message
    return messages


def obr_of(raw: bytes) -> Mapping[str, str]:
    """Return the fields of OBR that may hold an accession number."""
    [obr] = tokenise(raw).segments("OBR")
    return {f"OBR-{number}": obr.field(number).component(1).text for number in (3, 18, 19, 20, 21)}


@pytest.mark.parametrize("places", [["OBR-18"], ["OBR-18", "OBR-20"], ["OBR-3"], ["OBR-3", "OBR-19", "OBR-21"]])
def test_the_accession_number_stands_where_the_receiver_looks_for_it(places: list[str]) -> None:
    """REQ-OUT-20: in every message that names the order, there and nowhere else, and it is read back from there."""
    telling = a_telling(destination=a_destination(forms=ALL_FORMS, template={"accession_in": places}))

    messages = said_by(telling)

    assert list(messages) == ALL_FORMS
    for raw in messages.values():
        assert {place for place, text in obr_of(raw).items() if text == "TEST-ACC-1"} == set(places)


def test_identifiers_that_a_receiver_does_not_get_are_in_no_message() -> None:
    """REQ-OUT-21: by type or by authority; the others are named as before."""
    document = a_signed_document(patient=a_patient(identifiers=(RECORD, CITIZEN, INSURED)))
    destination = a_destination(forms=ALL_FORMS, template={"withhold_identifiers": ["NI", "BHXH"]})

    messages = said_by(a_telling(document, destination))

    assert list(messages) == ALL_FORMS
    for raw in messages.values():
        assert (CITIZEN.id_number.encode() in raw, INSURED.id_number.encode() in raw) == (False, False)
        assert RECORD.id_number.encode() in raw


def test_every_identifier_is_sent_by_default() -> None:
    """REQ-OUT-21: what a site does not say stays as it was."""
    document = a_signed_document(patient=a_patient(identifiers=(RECORD, CITIZEN, INSURED)))

    raw = said_by(a_telling(document))["oru"]

    assert all(identifier.id_number.encode() in raw for identifier in (RECORD, CITIZEN, INSURED))


def released_to(destination: Any, **changed: Any) -> Released | Held | gate.Wait:
    """Put a signed report before the gate, for that destination."""
    patient = changed.pop("patient", a_patient())
    document = a_signed_document(patient=patient, **changed)
    known = some_circumstances(destinations=(destination,), case=a_case(patient=patient))
    return gate.check(a_release_request(document), known)


def test_a_report_without_any_identifier_left_is_held() -> None:
    """REQ-OUT-21: a result of nobody is worse than none; a person hears of it."""
    destination = a_destination(template={"withhold_identifiers": ["NI"]})

    verdict = released_to(destination, patient=a_patient(identifiers=(CITIZEN,)))

    assert isinstance(verdict, Held)
    assert "patient identifier" in verdict.reason


def test_the_text_has_the_code_that_the_receiver_knows() -> None:
    """REQ-OUT-20: OBX-3 of the text is the receiver's, and what is read back is the same text."""
    destination = a_destination(forms=["oru", "mdm"], template={"text_code": "KQ^Kết quả^L"})

    for raw in said_by(a_telling(destination=destination)).values():
        [text] = [segment for segment in tokenise(raw).segments("OBX") if segment.field(2).text == "TX"]
        assert text.field(3).raw == "KQ^Kết quả^L".encode()


@pytest.mark.parametrize(
    "entry",
    [
        "forms = []",
        'forms = ["pdf"]',
        "[destination.template]\naccession_in = []",
        '[destination.template]\naccession_in = ["OBR-4"]',
        '[destination.template]\ntext_code = "TEXT"',
        '[destination.template]\ntext_code = "113014^Text^DCM"',
        '[destination.template]\ntext_code = "A|B^Text^L"',
        '[destination.template]\nwithhold_identifiers = [""]',
        '[destination.template]\nwithold_identifiers = ["NI"]',
    ],
)
def test_a_template_that_can_not_be_used_is_refused_at_once(entry: str) -> None:
    """REQ-OUT-20: a mistyped name would otherwise send what was not to be sent."""
    with pytest.raises(DestinationsRefused):
        parse(LISTED.format(entry=entry), site_id="site")


def a_document(**changed: Any) -> Message:
    """Return the document message of a telling."""
    return tokenise(said_by(a_telling(destination=a_destination(forms=["mdm"]), **changed))["mdm"])


def told_before(status: Status, revision: int = 1, before: ReportDocument | None = None, **changed: Any) -> Position:
    """Return a document that the destination has: the one about the only order, if any, of `before`."""
    document = before or a_signed_document(report_revision=revision)
    first = said_by(a_telling(document, a_destination(forms=["mdm"]), status=status))["mdm"]
    control_id = tokenise(first).header.message_control_id
    return Position(report_revision=revision, status=status, form="mdm", message_control_id=control_id, **changed)


def test_a_first_document_is_new_and_the_next_replaces_it_by_its_number() -> None:
    """REQ-OUT-22: MDM^T02, then MDM^T10 whose TXA-13 is the first one's TXA-12 (HL7 v2.5.1, 9.6.10)."""
    second = a_signed_document(report_revision=2)

    first = a_document()
    corrected = a_document(document=second, status=Status.CORRECTED, earlier=(told_before(Status.FINAL),))
    after_refusal = a_document(
        document=second, status=Status.CORRECTED, earlier=(told_before(Status.FINAL, was_refused=True),)
    )

    types = [message.segments("MSH")[0].field(9).raw for message in (first, corrected, after_refusal)]
    assert types == [b"MDM^T02^MDM_T02", b"MDM^T10^MDM_T02", b"MDM^T02^MDM_T02"]
    number, replaced = first.segments("TXA")[0].field(12).raw, corrected.segments("TXA")[0].field(13).raw
    assert number
    assert (number, corrected.segments("TXA")[0].field(12).raw != number) == (replaced, True)


def test_a_document_replaces_one_about_its_own_order_or_about_none() -> None:
    """An order that was linked between two revisions has no document yet, unless one was told before there was any order."""
    first, linked = a_service_request(), a_service_request(order_id=UUID(int=7), placer_order_number="TEST-PLACER-7")
    second = a_signed_document(report_revision=2, orders=(first, linked))
    unordered = a_signed_document(orders=())
    mdm_only = a_destination(forms=["mdm"])

    def replaced(before: ReportDocument) -> list[str]:
        earlier = (told_before(Status.FINAL, before=before),)
        telling = a_telling(second, mdm_only, status=Status.CORRECTED, earlier=earlier)
        said = [mdm.read_back(message.message) for _, message in written(telling)]
        return [one.replaces.entity_identifier if one.replaces else "" for one in said]

    def number(of: ReportDocument) -> str:
        return mdm.read_back(said_by(a_telling(of, mdm_only))["mdm"]).document_number.entity_identifier

    assert replaced(a_signed_document()) == [number(a_signed_document()), ""]
    assert replaced(unordered) == [number(unordered)] * 2


def test_a_withdrawal_replaces_the_document_by_one_that_says_so() -> None:
    """REQ-OUT-22: the receiver's document holds no more, and its text says why."""
    withdrawn = a_signed_document(withdrawal=Withdrawal(reason="wrong side"), findings=())
    destination = a_destination(forms=["mdm"])
    earlier = (told_before(Status.FINAL),)
    telling = a_telling(withdrawn, destination, status=Status.WITHDRAWN, earlier=earlier)

    said = mdm.read_back(said_by(telling)["mdm"])

    assert (said.result.taken_back, said.result.narrative) == (TakenBack.DELETED, "wrong side")
    assert said.replaces is not None


@pytest.mark.parametrize("status", [Status.UNVERIFIED, Status.PRELIMINARY, Status.CANCELLED])
def test_what_nobody_signed_is_no_document_and_changes_no_order(status: Status) -> None:
    """REQ-OUT-22: drafts go as results alone."""
    telling = a_telling(destination=a_destination(forms=["mdm", "order_status"]), status=status)

    assert list(written(telling)) == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.FINAL, OrderStatus.COMPLETED),
        (Status.CORRECTED, OrderStatus.COMPLETED),
        (Status.WITHDRAWN, OrderStatus.IN_PROCESS),
    ],
)
def test_the_order_is_completed_by_a_signature_and_open_again_by_a_withdrawal(
    status: Status, told: OrderStatus
) -> None:
    """REQ-OUT-23: ORM^O01, ORC-1 SC, ORC-5 of table HL70038, under the order's own numbers."""
    withdrawal = {"withdrawal": Withdrawal(reason="x"), "findings": ()} if status is Status.WITHDRAWN else {}
    document = a_signed_document(**withdrawal)
    telling = a_telling(document, a_destination(forms=["order_status"]), status=status)

    said = order_status.read_back(said_by(telling)["order_status"])

    assert said.order_status is told
    assert said.placer_order_number is not None
    assert said.placer_order_number.entity_identifier == "TEST-PLACER-1"


def test_an_order_without_a_number_has_no_status_to_tell() -> None:
    """REQ-OUT-23: nobody could tell which one is meant."""
    document = a_signed_document(orders=(a_service_request(placer_order_number="", filler_order_number=""),))

    assert said_by(a_telling(document, a_destination(forms=["order_status"]))) == {}


def test_one_signature_lets_every_form_out_under_numbers_of_their_own() -> None:
    """REQ-OUT-22: result, document and order status of one report are three messages, each sent once."""
    verdict = released_to(a_destination(forms=ALL_FORMS))

    assert isinstance(verdict, Released)
    assert [message.form for message in verdict.messages] == ALL_FORMS
    for kind in ("delivery_id", "message_control_id"):
        assert len({getattr(message, kind) for message in verdict.messages}) == 3


Falsify = Callable[[Any], Any]

FALSE: Mapping[str, Falsify] = {
    "accession": lambda c: replace(c, accession_number="X"),
    "order": lambda c: replace(c, placer_order_number=replace(c.placer_order_number, entity_identifier="X")),
    "identifier": lambda c: replace(
        c, patient=replace(c.patient, identifiers=(replace(c.patient.identifiers[0], id_number="X"),))
    ),
    "name": lambda c: replace(c, patient=replace(c.patient, names=(replace(c.patient.names[0], given_name="X"),))),
}
FALSE_IN_DOCUMENT: Mapping[str, Falsify] = {
    **{fault: false for fault, false in FALSE.items() if fault != "order"},
    "conclusion": lambda c: replace(c, narrative="X"),
    "finding left out": lambda c: replace(c, observations=()),
    "signer": lambda c: replace(c, signer=replace(c.signer, id_number="dr.other")),
}


@pytest.mark.parametrize(
    ("form", "fault"),
    [*(("mdm", fault) for fault in FALSE_IN_DOCUMENT), *(("order_status", fault) for fault in FALSE)],
)
def test_gate_holds_a_message_that_says_something_else(form: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-REV-03: a document and an order's status are compared with what was signed, as a result is."""
    falsify = (FALSE_IN_DOCUMENT if form == "mdm" else FALSE)[fault]
    meant = oru_form.content_for
    monkeypatch.setattr(oru_form, "content_for", lambda *given: falsify(meant(*given)))

    verdict = released_to(a_destination(forms=[form]))

    assert isinstance(verdict, Held)
    assert verdict.is_defect


@pytest.mark.parametrize(
    ("meant", "spoilt"),
    [
        (b"|LA||AV|", b"|IP||AV|"),
        (b"|LA||AV|", b"|LA||UN|"),
        (b"MDM^T02", b"MDM^T10"),
        (b"|DI|TX|", b"|CN|TX|"),
        (b"TXA|1|DI|TX|2026", b"TXA|1|DI|TX|2025"),
        (b"EVN||2026", b"EVN||2025"),
        (b"|F|", b"|R|"),
    ],
)
def test_gate_holds_a_document_that_says_another_state_of_itself(
    meant: bytes, spoilt: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-REV-03: what stands around the result is read back too."""
    render = mdm.render
    monkeypatch.setattr(mdm, "render", lambda *given: render(*given).replace(meant, spoilt, 1))

    verdict = released_to(a_destination(forms=["mdm"]))

    assert isinstance(verdict, Held)
    assert verdict.is_defect


@pytest.mark.parametrize(
    ("meant", "spoilt"), [(b"ORC|SC|", b"ORC|NW|"), (b"||CM|", b"||IP|"), (b"OBR|1|TEST-PLACER-1", b"OBR|1|X")]
)
def test_gate_holds_an_order_status_that_says_something_else(
    meant: bytes, spoilt: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-REV-03: above all none that orders something."""
    render = order_status.render
    monkeypatch.setattr(order_status, "render", lambda *given: render(*given).replace(meant, spoilt, 1))

    verdict = released_to(a_destination(forms=["order_status"]))

    assert isinstance(verdict, Held)
    assert verdict.is_defect
