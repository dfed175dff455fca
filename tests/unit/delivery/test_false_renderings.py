"""A fault of ours in writing a form is found by reading it back, and holds the report."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from overread.delivery import dicom_forms, fhir_form
from overread.delivery.gate import Held
from overread.protocols.fhir.content import ReportStatus
from tests.builders.delivery import a_dicom_destination, a_fhir_destination
from tests.builders.events import a_signer
from tests.builders.released_study import judged
from tests.builders.reported_study import LUNG

FALSE_IN_FHIR: dict[str, Callable[[Any], Any]] = {
    "patient": lambda c: dataclasses.replace(c, patient=c.patient.model_copy(update={"given_name": "X"})),
    "identifier": lambda c: dataclasses.replace(
        c,
        patient=c.patient.model_copy(
            update={"identifiers": (c.patient.identifiers[0].model_copy(update={"id_number": "X"}),)}
        ),
    ),
    "accession": lambda c: dataclasses.replace(c, orders=(c.orders[0].model_copy(update={"accession_number": "X"}),)),
    "study": lambda c: dataclasses.replace(c, study_instance_uid="1.2.3"),
    "status": lambda c: dataclasses.replace(c, status=ReportStatus.CORRECTED, reason="x"),
    "signer": lambda c: dataclasses.replace(c, signer=a_signer(subject="dr.other")),
    "signer's name": lambda c: dataclasses.replace(c, signer=a_signer(family_name="X")),
    "conclusion": lambda c: dataclasses.replace(c, conclusion="X"),
    "synthetic": lambda c: dataclasses.replace(c, is_synthetic=False),
    "finding left out": lambda c: dataclasses.replace(c, findings=()),
    "value": lambda c: dataclasses.replace(
        c,
        findings=(
            dataclasses.replace(c.findings[0], finding=c.findings[0].finding.model_copy(update={"value": "1.0"})),
        ),
    ),
    "unit": lambda c: dataclasses.replace(
        c,
        findings=(dataclasses.replace(c.findings[0], finding=c.findings[0].finding.model_copy(update={"unit": "L"})),),
    ),
    "site": lambda c: _finding_in_fhir(c, finding_site=None),
    "property": lambda c: _finding_in_fhir(c, property=LUNG),
    "series": lambda c: dataclasses.replace(c, series=()),
}


def _finding_in_fhir(content: Any, **changed: Any) -> Any:
    (said,) = content.findings
    false = dataclasses.replace(said, finding=said.finding.model_copy(update=changed))
    return dataclasses.replace(content, findings=(false,))


@pytest.mark.parametrize("fault", FALSE_IN_FHIR)
def test_gate_holds_a_bundle_that_says_something_else(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle is compared with the document itself, not with what was made of it."""
    meant = fhir_form.content_for
    monkeypatch.setattr(fhir_form, "content_for", lambda telling: FALSE_IN_FHIR[fault](meant(telling)))

    verdict = judged(destinations=(a_fhir_destination(),))

    assert isinstance(verdict, Held)
    assert verdict.is_defect


def _patient(content: Any, **changed: Any) -> Any:
    return dataclasses.replace(content, patient=dataclasses.replace(content.patient, **changed))


FALSE_IN_DICOM: dict[str, Callable[[Any], Any]] = {
    "patient's name": lambda c: _patient(c, patient_name="X"),
    "patient's number": lambda c: _patient(c, patient_id="X"),
    "patient's sex": lambda c: _patient(c, patient_sex="F"),
    "study": lambda c: dataclasses.replace(c, study=dataclasses.replace(c.study, study_instance_uid="1.2.3")),
    "accession": lambda c: dataclasses.replace(c, study=dataclasses.replace(c.study, accession_number="X")),
}

FALSE_IN_SR: dict[str, Callable[[Any], Any]] = {
    **FALSE_IN_DICOM,
    "status": lambda c: dataclasses.replace(c, signature=None),
    "signer": lambda c: dataclasses.replace(c, signature=dataclasses.replace(c.signature, identifier="dr.other")),
    "conclusion": lambda c: dataclasses.replace(c, conclusion="X"),
    "finding left out": lambda c: dataclasses.replace(c, findings=()),
    "value": lambda c: dataclasses.replace(
        c, findings=(dataclasses.replace(c.findings[0], value=dataclasses.replace(c.findings[0].value, value="1.0")),)
    ),
    "probability": lambda c: dataclasses.replace(c, findings=(dataclasses.replace(c.findings[0], probability="0.5"),)),
    "site": lambda c: dataclasses.replace(c, findings=(dataclasses.replace(c.findings[0], finding_site=None),)),
    "property": lambda c: dataclasses.replace(
        c, findings=(dataclasses.replace(c.findings[0], measured_property=None),)
    ),
}


@pytest.mark.parametrize("fault", FALSE_IN_SR)
def test_gate_holds_a_structured_report_that_says_something_else(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, patient, signer and every finding of the SR are the document's own."""
    meant = dicom_forms._report
    monkeypatch.setattr(dicom_forms, "_report", lambda *given: FALSE_IN_SR[fault](meant(*given)))

    verdict = judged(destinations=(a_dicom_destination(forms=["sr"]),))

    assert isinstance(verdict, Held)
    assert verdict.is_defect


@pytest.mark.parametrize("form", ["seg", "sc"])
@pytest.mark.parametrize("fault", FALSE_IN_DICOM)
def test_gate_holds_an_image_object_of_somebody_else(form: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmentation or a picture under a wrong name is as wrong as a report."""
    maker = {"seg": "_segmentation", "sc": "capture_of"}[form]
    meant = getattr(dicom_forms, maker)
    monkeypatch.setattr(dicom_forms, maker, lambda *given: FALSE_IN_DICOM[fault](meant(*given)))

    verdict = judged(destinations=(a_dicom_destination(forms=[form]),))

    assert isinstance(verdict, Held)
    assert verdict.is_defect
