"""What delivery makes of a report in every state, by its own functions: of each model, for each kind of receiver.

A draft goes the way of drafts, a cancellation that of cancellations; what is signed is signed and passes the gate.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from overread.contracts import codec
from overread.contracts.events.cases import SeriesSummary
from overread.contracts.events.inference import Artefact, Decision, Finding, Outcome
from overread.contracts.events.orders import CodedElement
from overread.contracts.events.reports import ModelResult, ReportDocument, Verdict, Withdrawal
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.delivery import gate
from overread.delivery.destinations import Destination
from overread.delivery.gate import Released
from overread.delivery.handlers import unverified_tellings, withdrawal_of
from overread.delivery.imaging import Imaging, load
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Position
from overread.delivery.telling import OutboundMessage
from overread.inference import postprocessing
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from overread.review.findings import conclusion_of, stated_conclusion, withdrawn_conclusion
from tests.builders.delivery import (
    a_destination,
    a_dicom_destination,
    a_fhir_destination,
    a_release_request,
    an_occasion,
    some_circumstances,
)
from tests.builders.events import NOON, SITE, a_case, a_report_document, a_service_request, a_signer, a_study
from tests.builders.imaging import A_STUDY, a_phantom, brain_volume_model, file_bytes, lung_density_model
from tests.builders.reported_study import StoredObjects

LUNGS, BRAIN = "ct-lung-density", "mr-brain-volume"
MODELS = (LUNGS, BRAIN)
STATES = ("unverified", "preliminary", "final", "corrected", "withdrawn", "wrong_patient", "cancelled")

STUDY_UID = A_STUDY.study_instance_uid
MANIFEST_KEY, ARTEFACT_KEY = f"{SITE}/studies/{STUDY_UID}/manifests/1", f"{SITE}/artefacts/job/mask.npz"
SLICES = 12
MR_IMAGE = UID("1.2.840.10008.5.1.4.1.1.4")
ORDER = a_service_request(
    filler_order_number="TEST-FILLER-1",
    filler_namespace="RIS",
    ordering_provider=CodedElement(identifier="BS001", text="MẪU^BÁC SĨ"),
    visit_number="TEST-V-1",
    patient_class="O",
    scheduled_at=NOON,
)
ANSWERS: Mapping[str, postprocessing.Answer] = {
    LUNGS: {
        "LUNG_VOLUME": 5539.6,
        "MEAN_HU": -813.7,
        "LAA_950": 0.37,
        "PERC15": -889.0,
        "QC_FLAGS": "airway_not_found",
        "REFUSAL": "",
    },
    BRAIN: {"BRAIN_VOLUME": 1411.8, "QC_FLAGS": "", "REFUSAL": ""},
}
PNEUMONIA = Finding(
    code="233604007",
    scheme="SCT",
    display="Pneumonia",
    coded_value="52101004",
    coded_value_scheme="SCT",
    coded_value_display="Present",
)
"""What a clinician adds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """A study that a model has read."""

    manifest: Manifest
    result: ModelResult
    objects: StoredObjects


@cache
def read_by(name: str) -> Read:
    """Return a small study of the modality that the model reads, with what it says and marks of it."""
    model = {LUNGS: lung_density_model, BRAIN: brain_volume_model}[name]()
    manifest, files = _manifest(is_mr=name == BRAIN)
    (series,) = manifest.series
    marks = _marks(series)
    artefact = Artefact(
        kind="segmentation",
        key=ARTEFACT_KEY,
        digest=codec.sha256(marks),
        series_instance_uid=series.series_instance_uid,
        segments=model.segmentations[0].segments,
    )
    result = ModelResult(
        model=model.reference,
        outcome=Outcome.COMPLETED,
        findings=postprocessing.findings(model, ANSWERS[name], series_instance_uid=series.series_instance_uid),
        decision=Decision.JOB,
        ended_at=NOON,
        artefacts=(artefact,),
    )
    objects = StoredObjects({**files, MANIFEST_KEY: manifest.to_bytes(), ARTEFACT_KEY: marks})
    return Read(manifest=manifest, result=result, objects=objects)


@cache
def _imaging(name: str, state: str) -> Imaging:
    """Return the images as delivery reads them for the document of that state."""
    return load(read_by(name).objects, documents(name)[state])


def _manifest(*, is_mr: bool) -> tuple[Manifest, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    instances = []
    for image in a_phantom(slices=SLICES, size=64).datasets:
        content = file_bytes(_as_mr(image) if is_mr else image)
        part10 = split(content)
        header = read_header([part10.data_set], part10.transfer_syntax_uid)
        key = f"{SITE}/studies/{STUDY_UID}/{header.sop_instance_uid}/1"
        files[key] = content
        instances.append(
            ManifestInstance(
                sop_instance_uid=header.sop_instance_uid,
                sop_class_uid=header.sop_class_uid,
                transfer_syntax_uid=part10.transfer_syntax_uid,
                object_key=key,
                digest=codec.sha256(part10.data_set),
                attributes=header.attributes,
            )
        )
    series = ManifestSeries(series_instance_uid=instances[0].attributes.series_instance_uid, instances=tuple(instances))
    return Manifest(study_instance_uid=STUDY_UID, study_revision=1, series=(series,)), files


def _as_mr(image: FileDataset) -> FileDataset:
    """Return the slice under the name of the other modality: results take place and identity from it, no more."""
    other = copy.deepcopy(image)
    other.Modality = "MR"
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = MR_IMAGE
    return other


def _marks(series: ManifestSeries) -> bytes:
    """Return a box in the middle third of the slices, as a model stores it."""
    placed = sorted(series.instances, key=lambda i: (i.attributes.image_position_patient or (0,))[-1])
    rows, columns = placed[0].attributes.rows or 0, placed[0].attributes.columns or 0
    labels = np.zeros((len(placed), rows, columns), np.uint8)
    labels[len(placed) // 3 : 2 * len(placed) // 3, rows // 4 : rows // 2, columns // 4 : columns // 2] = 1
    written = BytesIO()
    np.savez_compressed(written, labels=labels, sop_instance_uids=np.array([i.sop_instance_uid for i in placed]))
    return written.getvalue()


def _document(manifest: Manifest, result: ModelResult, **changed: Any) -> ReportDocument:
    fields = {
        "study_instance_uid": STUDY_UID,
        "manifest_key": MANIFEST_KEY,
        "manifest_digest": codec.sha256(manifest.to_bytes()),
        "orders": (ORDER,),
        "modalities": (manifest.series[0].instances[0].attributes.modality,),
        "series": tuple(
            SeriesSummary(
                series_instance_uid=series.series_instance_uid,
                modality=series.instances[0].attributes.modality,
                instance_count=len(series.instances),
            )
            for series in manifest.series
        ),
        "study_date_time": "2026-11-22T09:58:00",
        "ai_results": (result,),
        "findings": result.findings,
        "conclusion": conclusion_of((result,), "vi"),
    }
    return a_report_document(**fields | changed)


@cache
def documents(name: str) -> Mapping[str, ReportDocument]:
    """Return what was drafted; signed; corrected, one number less, one changed and one finding more; and taken back."""
    read = read_by(name)
    draft = _document(read.manifest, read.result)
    signature = {"signed_by": a_signer(), "signed_at": NOON, "verdict": Verdict.ACCEPTED}
    first, *others = draft.findings
    changed = (first.model_copy(update={"value": "1500"}), *others[1:], PNEUMONIA)
    corrected = {
        "report_revision": 2,
        "findings": changed,
        "conclusion": stated_conclusion(changed, "vi"),
        "verdict": Verdict.CHANGED,
        "verdict_reasons": ("wrong_value", "missed_finding"),
    }
    second = draft.model_copy(update=signature | corrected)
    return {
        "draft": draft,
        "final": draft.model_copy(update=signature),
        "corrected": second,
        "withdrawn": _taking_back(second, is_wrong_patient=False),
        "wrong_patient": _taking_back(second, is_wrong_patient=True),
    }


def _taking_back(signed: ReportDocument, *, is_wrong_patient: bool) -> ReportDocument:
    withdrawal = Withdrawal(reason="Nhầm bệnh nhân.", is_wrong_patient=is_wrong_patient)
    said = {"findings": (), "conclusion": withdrawn_conclusion(withdrawal, "vi"), "withdrawal": withdrawal}
    return signed.model_copy(update=said)


KINDS: Mapping[str, Mapping[str, Destination]] = {
    "oru": {
        "unverified": a_destination(acknowledgment="enhanced", country_code="VNM"),
        "preliminary": a_destination(send_unverified="P"),
    },
    "documents": {"unverified": a_destination(forms=["mdm", "order_status"])},
    "pictures": {
        "unverified": a_destination(
            forms=["oru", "mdm"], attachments={"attach": "embedded", "what": ["jpeg", "pdf"], "placed": "after_text"}
        )
    },
    "addresses": {
        "unverified": a_destination(
            attachments={"attach": "pointer", "what": ["jpeg", "pdf"], "page_url": "https://overread.bvx.example"}
        )
    },
    "fhir": {
        "unverified": a_fhir_destination(),
        "preliminary": a_fhir_destination(send_unverified="preliminary"),
    },
    "dicom": {"unverified": a_dicom_destination()},
}
"""Each kind of receiver, by its word for what nobody has confirmed."""


@cache
def told(kind: str, name: str) -> Mapping[str, bytes]:
    """Return each message of the model's report to a receiver of that kind, as `form_state`, in the order of its life."""
    return {
        f"{message.form}_{state}": message.message
        for state, messages in _life(kind, name).items()
        for message in messages
    }


@cache
def _life(kind: str, name: str) -> Mapping[str, Sequence[OutboundMessage]]:
    receiver = KINDS[kind]["unverified"]
    said: dict[str, Sequence[OutboundMessage]] = {
        word: _drafted(destination, name) for word, destination in KINDS[kind].items()
    }
    earlier = _positions(said["unverified"])
    said["cancelled"] = _cancelled(receiver, name, earlier)
    for state, before in (("final", "draft"), ("corrected", "final")):
        said[state] = _released(receiver, name, state, before=before, earlier=earlier)
        earlier = (*earlier, *_positions(said[state]))
    for state in ("withdrawn", "wrong_patient"):
        said[state] = _released(receiver, name, state, before="corrected", earlier=earlier)
    return {state: said[state] for state in STATES if state in said}


def _drafted(destination: Destination, name: str) -> Sequence[OutboundMessage]:
    raw = codec.document_bytes(documents(name)["draft"])
    (telling,) = unverified_tellings(raw, (destination,), {}, an_occasion())
    return messages_for(replace(telling, imaging=_imaging(name, "draft")))


def _cancelled(destination: Destination, name: str, earlier: Sequence[Position]) -> Sequence[OutboundMessage]:
    raw = codec.document_bytes(documents(name)["draft"])
    occasion = an_occasion(reason="Phiếu chỉ định đã bị huỷ")
    telling = withdrawal_of(raw, destination, earlier, occasion, report_revision=1)
    return messages_for(replace(telling, imaging=_imaging(name, "draft")))


def _released(
    destination: Destination, name: str, state: str, *, before: str, earlier: Sequence[Position]
) -> Sequence[OutboundMessage]:
    document = documents(name)[state]
    study = a_study(study_instance_uid=STUDY_UID, manifest_key=MANIFEST_KEY, manifest_digest=document.manifest_digest)
    known = some_circumstances(
        case=a_case(study_instance_uid=STUDY_UID, study=study, orders=(ORDER,)),
        released_revision={"final": None, "corrected": 1}.get(state, 2),
        earlier={destination.name: earlier},
        destinations=(destination,),
        previous={destination.name: documents(name)[before]},
        imaging=_imaging(name, state),
    )
    verdict = gate.check(a_release_request(document), known)
    assert isinstance(verdict, Released), verdict
    return verdict.messages


def _positions(messages: Sequence[OutboundMessage]) -> tuple[Position, ...]:
    return tuple(
        Position(
            report_revision=message.report_revision,
            status=message.status,
            form=message.form,
            message_control_id=message.message_control_id,
        )
        for message in messages
    )
