"""One report in three forms at three receivers of other people's making: drafted, signed, and taken back."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import Dataset, dcmread

from overread.cli.demo_peers import FhirReceiver, Pacs
from overread.embedded import fhir_emr
from overread.embedded.fhir_emr import FhirEmr
from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from tests.e2e.conftest import FAST
from tests.e2e.hospital import FIRST_OFFSET, Hospital, Visit, free_offset
from tests.e2e.stillness import everything_known, wait_until_all_is_read
from tests.fakes.peers import Emr, store_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SECONDS = 60.0
Receivers = tuple[Hospital, Pacs, FhirReceiver]


@pytest.fixture(scope="module")
def ward() -> Iterator[Emr]:
    """Yield a second EMR, which knows no R: what nobody has confirmed comes to it as P, in English."""
    with Emr() as listening:
        yield listening


@pytest.fixture(scope="module")
def records() -> Iterator[Emr]:
    """Yield a store of documents: it gets what was signed, as MDM."""
    with Emr() as listening:
        yield listening


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory, ward: Emr, records: Emr) -> Iterator[Receivers]:
    """Yield a stack of its own whose results go to an EMR, a PACS and a FHIR server, and to a ward."""
    if not fhir_emr.is_here():
        pytest.skip("the FHIR receiver is not set up: python -m overread.embedded.setup does it")
    folder = tmp_path_factory.mktemp("three-forms")
    pacs, server = Pacs(folder), FhirEmr(folder / "fhir-emr")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(server.start())
    pacs.start()
    try:
        with (
            Emr() as emr,
            StackThread(_profile(folder, _destinations(folder, emr, ward, records, pacs, server)).stack()) as stack,
            closing(Hospital(stack.endpoints, emr)) as hospital,
        ):
            yield hospital, pacs, FhirReceiver(folder, server)
    finally:
        pacs.stop()
        loop.run_until_complete(server.stop())
        loop.close()


def _profile(folder: Path, listed: Path) -> Profile:
    return Profile(
        data_dir=folder / "data",
        port_offset=free_offset(FIRST_OFFSET + 3_600 + os.getpid() % 20 * 20),
        settings={**FAST, "OVERREAD_DESTINATIONS": str(listed)},
    )


def _destinations(folder: Path, emr: Emr, ward: Emr, records: Emr, pacs: Pacs, server: FhirEmr) -> Path:
    """Write the list that a site writes: five receivers, each with its own word for what nobody has confirmed."""
    token = str(server.token_file)
    listed: dict[str, dict[str, str | list[str]]] = {
        "emr": {"kind": "hl7", "url": emr.url, "send_unverified": "R", "country_code": "VNM"},
        "ward": {"kind": "hl7", "url": ward.url, "send_unverified": "P", "language": "en"},
        "records": {"kind": "hl7", "url": records.url, "forms": ["mdm"]},
        "fhir": {"kind": "fhir", "url": server.url, "send_unverified": "partial", "bearer_token_file": token},
        "pacs": {
            "kind": "dicom",
            "url": f"dicom://DEMO_PACS@127.0.0.1:{pacs.port}",
            "send_unverified": "unverified",
        },
    }
    path = folder / "destinations.toml"
    tables = (
        "[[destination]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {"name": name, **told}.items())
        for name, told in listed.items()
    )
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def _stored(pacs: Pacs, visit: Visit, modality: str, count: int = 1) -> list[Dataset]:
    """Return the visit's objects of one modality, once there are so many."""

    def there() -> list[Dataset]:
        about = [stored for stored, *_ in pacs.received if _is_about(stored, visit)]
        found = [stored for stored in about if modality == stored.Modality]
        return found if len(found) >= count else []

    return wait_until(there, f"{count} {modality} of {visit.accession_number} at the PACS", SECONDS)


def _is_about(stored: Dataset, visit: Visit) -> bool:
    return bool(visit.study_instance_uid == stored.StudyInstanceUID)


def _reports(receiver: FhirReceiver, report_id: str, status: str) -> list[dict[str, Any]]:
    """Return what the FHIR server holds under the report's identifier, once it has that status."""
    identifier = f"urn:ietf:rfc:3986|urn:uuid:{report_id}"

    def there() -> list[dict[str, Any]]:
        found = asyncio.run(receiver.server.received("DiagnosticReport", identifier=identifier))
        return found if [report["status"] for report in found] == [status] else []

    return wait_until(there, f"one DiagnosticReport that is {status}", SECONDS)


def _withdraw(hospital: Hospital, report_id: str) -> None:
    clinician = hospital.user()
    report = clinician.ask("GET", f"/reports/{report_id}").raise_for_status().json()
    body = {"digest": report["digest"], "reason": "nhầm bệnh nhân", "is_wrong_patient": True}
    clinician.ask("POST", f"/reports/{report_id}/withdraw-final", json=body).raise_for_status()


def _send_everything_back(hospital: Hospital, pacs: Pacs, visit: Visit) -> list[str]:
    """Send all that the PACS ever got of us about the visit to our own port; return what each of it is."""
    objects = [dcmread(path) for stored, path, _ in pacs.received if _is_about(stored, visit)]
    store_until_kept(hospital.dicom_port, objects)
    wait_until_all_is_read(hospital, visit, accompanying=len(objects))
    return sorted(f"{each.Modality} {each.get('VerificationFlag', '')}".strip() for each in objects)


def test_one_report_is_drafted_signed_and_taken_back_at_three_receivers(receivers: Receivers) -> None:
    """REQ-REV-01 in every form: R, F, W; partial, final, entered-in-error; UNVERIFIED, VERIFIED, rejected (IHE IOCM).

    REQ-CPL-10: when the PACS then sends all of it back, as archives do, nothing comes of it.
    """
    hospital, pacs, receiver = receivers
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    report_id = str(hospital.user().draft(visit)["report_id"])

    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SECONDS)
    assert "resultsInterpreter" not in _reports(receiver, report_id, "partial")[0]
    [draft] = _stored(pacs, visit, "SR")
    assert draft.VerificationFlag == "UNVERIFIED"
    [segmentation] = _stored(pacs, visit, "SEG")
    [picture] = _stored(pacs, visit, "OT")
    assert "AI, not verified" in picture.ImageComments

    hospital.user().sign(visit)
    hospital.final(visit)
    assert _reports(receiver, report_id, "final")[0]["resultsInterpreter"]
    final = next(stored for stored in _stored(pacs, visit, "SR", 2) if stored.VerificationFlag == "VERIFIED")
    predecessor = final.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == draft.SOPInstanceUID

    _withdraw(hospital, report_id)
    taken_back = hospital.emr.wait_for(visit.study_instance_uid, "C", seconds=SECONDS)
    assert {fields[11] for fields in taken_back.segments if fields[0] == "OBX"} == {"O", "W"}
    assert taken_back.findings == {}
    _reports(receiver, report_id, "entered-in-error")
    rejected = _rejected(pacs, visit)
    assert {draft.SOPInstanceUID, final.SOPInstanceUID, segmentation.SOPInstanceUID} < rejected

    before = everything_known(hospital, visit)
    came_back = _send_everything_back(hospital, pacs, visit)
    assert came_back == ["KO", "OT", "OT", "SEG", "SR UNVERIFIED", "SR VERIFIED"]
    assert everything_known(hospital, visit) == before


def _read_again(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    """Answer the question about late images by reading them; return the draft, claimed, once the models have seen them."""
    clinician = hospital.user()

    def claimed() -> dict[str, Any] | None:
        [case] = clinician.cases(visit)
        task = clinician.ask("GET", f"/cases/{case['case_id']}/reading").raise_for_status().json()["task"]
        report = clinician.report(visit)
        if task is None or report is None:
            return None
        answer = clinician.ask("POST", f"/reports/{report['report_id']}/tasks/{task['task_id']}/read-again")
        return dict(answer.json()) if answer.is_success else None

    return cast("dict[str, Any]", wait_until(claimed, f"the second reading of {visit.accession_number}", SECONDS))


def _sign_changed(hospital: Hospital, report: dict[str, Any]) -> None:
    """Sign with another volume than the model's, for a reason out of the list."""
    volume, *others = report["document"]["findings"]
    body = {
        "digest": report["digest"],
        "verdict": "changed",
        "findings": [{**volume, "value": "4321"}, *others],
        "reasons": ["wrong_value"],
    }
    hospital.user().ask("POST", f"/reports/{report['report_id']}/sign", json=body).raise_for_status()


def _both_signed(pacs: Pacs, visit: Visit) -> list[Dataset]:
    """Return the signed reports in the order of their making, once there are two."""
    signed = [sr for sr in _stored(pacs, visit, "SR") if sr.VerificationFlag == "VERIFIED"]
    return sorted(signed, key=lambda sr: int(sr.InstanceNumber)) if len(signed) == 2 else []


def test_second_revision_is_changed_and_signed_at_every_receiver(receivers: Receivers, ward: Emr) -> None:
    """C with the reason in NTE, corrected with the same in Provenance, and a new SR after the signed one (PS3.3, C.17.2).

    Each says where the finding is; the FHIR server keeps the study as it was first told of it.
    """
    hospital, pacs, receiver = receivers
    visit = hospital.admit()
    late, in_time = visit.datasets[-1], visit.datasets[:-1]
    hospital.order(visit)
    store_until_kept(hospital.dicom_port, in_time)
    report_id = str(hospital.user().draft(visit)["report_id"])
    hospital.user().sign(visit)
    hospital.final(visit)

    store_until_kept(hospital.dicom_port, [late])
    _sign_changed(hospital, _read_again(hospital, visit))

    corrected = hospital.emr.wait_for(visit.study_instance_uid, "C", seconds=SECONDS)
    assert corrected.findings["lung-volume-ct"] == "4321"
    assert corrected.field("MSH", 17) == "VNM"
    assert corrected.field("NTE", 3).endswith("sai giá trị.")
    told = ward.wait_for(visit.study_instance_uid, "C", seconds=SECONDS)
    assert told.field("NTE", 3).endswith("wrong value.")
    [report] = _reports(receiver, report_id, "corrected")
    assert "sai giá trị." in report["conclusion"]
    first, second = wait_until(lambda: _both_signed(pacs, visit), "both signed SRs at the PACS", SECONDS)
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID

    sites = [fields[5] for fields in corrected.segments if fields[0] == "OBX" and fields[3].startswith("363698007^")]
    assert set(sites) == {"39607008^Lung^SCT"}
    assert "39607008" in [element.value for element in second.iterall() if element.keyword == "CodeValue"]
    [study] = asyncio.run(
        receiver.server.received("ImagingStudy", identifier=f"urn:dicom:uid|urn:oid:{visit.study_instance_uid}")
    )
    series = [(each["uid"], each["modality"]["code"], each["numberOfInstances"]) for each in study["series"]]
    assert series == [(f"{visit.study_instance_uid}.1", "CT", len(in_time))]


def test_draft_that_is_cancelled_is_taken_back_at_every_receiver(receivers: Receivers, ward: Emr) -> None:
    """R or P, then X; partial, then cancelled; a note that rejects what nobody had signed (113001, IHE IOCM)."""
    hospital, pacs, receiver = receivers
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    report_id = str(hospital.user().draft(visit)["report_id"])
    early = ward.wait_for(visit.study_instance_uid, "P", seconds=SECONDS)
    texts = [fields[5] for fields in early.segments if fields[0] == "OBX" and fields[2] == "TX"]
    assert [text.split("~")[0] for text in texts] == [
        "NOT CONFIRMED: this is the output of an AI; no clinician has confirmed it."
    ]
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SECONDS)
    _reports(receiver, report_id, "partial")
    [draft] = _stored(pacs, visit, "SR")

    hospital.user().ask("POST", f"/reports/{report_id}/withdraw", json={"reason": "chụp nhầm"}).raise_for_status()

    for emr in (hospital.emr, ward):
        cancelled = emr.wait_for(visit.study_instance_uid, "X", seconds=SECONDS)
        assert (cancelled.findings, "chụp nhầm" in cancelled.field("NTE", 3)) == ({}, True)
    _reports(receiver, report_id, "cancelled")
    [note] = _stored(pacs, visit, "KO")
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    rejected = {
        item.ReferencedSOPInstanceUID
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert draft.SOPInstanceUID in rejected


class _Reconciler:
    """A person at the desk."""

    def __init__(self, hospital: Hospital) -> None:
        self._user = hospital.user("reconciler")
        self._hospital = hospital

    def types(self, *words: str) -> str:
        """Return what `overread desk` prints."""
        done = self._hospital.overread("desk", *words, OVERREAD_PASSWORD=self._user.password)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def asks(self, path: str) -> dict[str, Any]:
        """Return what the desk shows."""
        answer = self._user.ask("GET", f"{self._user.url}/desk/{path}").raise_for_status()
        return dict(answer.json())

    def order_like(self, case_id: str, accession_number: str) -> str:
        """Return the candidate of that number."""
        candidates = self.asks(f"cases/{case_id}")["candidates"]
        return next(
            str(one["order"]["order_id"]) for one in candidates if one["order"]["accession_number"] == accession_number
        )

    def decides(self, kind: str, case_id: str, order_id: str, **more: Any) -> None:
        """Decide about the pair as it is shown."""
        pair = self.asks(f"pairs/{case_id}/{order_id}")
        body = {"kind": kind, "case_id": case_id, "order_id": order_id, "version": pair["version"], **more}
        self._user.ask("POST", f"{self._user.url}/desk/decisions", json=body).raise_for_status()


def _about(emr: Emr, visit: Visit, accession_number: str) -> list[str]:
    """Return the status of each message about the visit's study that came under one accession number."""
    said = [message for message in emr.received if f"|{accession_number}" in message.raw.decode()]
    return [
        m.status for m in said if visit.study_instance_uid in m.raw.decode() and m.field("MSH", 9).startswith("ORU")
    ]


def test_report_of_the_wrong_patients_order_is_withdrawn_in_every_form_and_sent_anew(
    receivers: Receivers, records: Emr
) -> None:
    """REQ-DSK-11: attached wrongly, signed, sent; detached at the desk; withdrawn under a signature; sent for the right."""
    hospital, pacs, receiver = receivers
    visit, other = hospital.admit(), hospital.admit()
    desk, clinician = _Reconciler(hospital), hospital.user()
    hospital.order(other)
    hospital.scan(visit)
    report_id = str(clinician.draft(visit, has_order=False)["report_id"])
    [case] = clinician.cases(visit)
    case_id = str(case["case_id"])
    models = hospital.count("inference_worker", "SELECT count(*) FROM jobs WHERE case_id = $1::uuid", case_id)

    order_id = desk.order_like(case_id, other.accession_number)
    desk.decides("attach", case_id, order_id, reason="cùng tên, cùng ngày sinh", despite_conflict=True)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SECONDS)
    clinician.sign(visit)
    hospital.final(visit)
    _reports(receiver, report_id, "final")
    final = next(stored for stored in _stored(pacs, visit, "SR", 2) if stored.VerificationFlag == "VERIFIED")
    _documents(records, other.accession_number, "T02")

    shown = desk.types("show", case_id, order_id)
    assert ("attached" in shown, "patient numbers differ" in shown, "cùng tên, cùng ngày sinh" in shown) == (True,) * 3
    assert desk.types("detach", case_id, order_id, "--reason", "chỉ định của người bệnh khác").startswith("detach  ")
    assert _question(hospital, case_id) == "other_order"
    assert _about(hospital.emr, visit, other.accession_number) == ["R", "F"]
    _withdraw(hospital, report_id)
    taken_back = hospital.emr.wait_for(visit.study_instance_uid, "C", seconds=SECONDS)
    assert (taken_back.accession_number, taken_back.findings) == (other.accession_number, {})
    assert "W" in {fields[11] for fields in taken_back.segments if fields[0] == "OBX"}
    _reports(receiver, report_id, "entered-in-error")
    assert final.SOPInstanceUID in _rejected(pacs, visit)
    _documents(records, other.accession_number, "T10")

    hospital.order(visit)
    clinician.sign(visit)
    right = wait_until(lambda: _about(hospital.emr, visit, visit.accession_number)[-1:] == ["C"], "C", SECONDS)
    assert right
    _reports(receiver, report_id, "corrected")
    _documents(records, visit.accession_number, "T")
    assert _about(hospital.emr, visit, other.accession_number) == ["R", "F", "C"]
    assert hospital.count("inference_worker", "SELECT count(*) FROM jobs WHERE case_id = $1::uuid", case_id) == models


def _question(hospital: Hospital, case_id: str) -> str:
    """Return what the clinician is asked about the final report, once something is."""

    def asked() -> str:
        answer = hospital.user().ask("GET", f"/cases/{case_id}/reading").raise_for_status().json()
        return str(answer["task"]["kind"]) if answer["task"] else ""

    return wait_until(asked, "the question about the order", SECONDS)


def _rejected(pacs: Pacs, visit: Visit) -> set[str]:
    """Return what the PACS is told to hide."""
    [note] = _stored(pacs, visit, "KO")
    return {
        item.ReferencedSOPInstanceUID
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def _documents(records: Emr, accession_number: str, event: str) -> None:
    """Wait until the store of documents has one of this event about an accession number."""

    def there() -> bool:
        return any(
            message.field("MSH", 9).startswith(f"MDM^{event}") and accession_number in message.raw.decode()
            for message in records.received
        )

    wait_until(there, f"MDM^{event} about {accession_number}", SECONDS)
