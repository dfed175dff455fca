"""A study with a model's marks on it, as objects, and the report about it: what results in DICOM are made of."""

from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

from overread.contracts import codec
from overread.contracts.events.cases import Case, SeriesSummary
from overread.contracts.events.inference import Artefact, Concept, Finding, Outcome
from overread.contracts.events.reports import ModelResult, ReportDocument
from overread.contracts.manifest import Manifest
from overread.delivery.imaging import Imaging, load
from overread.protocols.dicom.part10 import split
from tests.builders.events import NOON, SITE, a_case, a_finding, a_model, a_report_document, a_study
from tests.builders.imaging import A_STUDY, an_artefact
from tests.builders.manifests import a_phantom_manifest

STUDY_UID = A_STUDY.study_instance_uid
MANIFEST_KEY = f"{SITE}/studies/{STUDY_UID}/manifests/1"
ARTEFACT_KEY = f"{SITE}/artefacts/job/lungs.npz"


class StoredObjects:
    """Objects in memory."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content

    def read(self, key: str) -> bytes:
        return self.content[key]


@cache
def the_objects() -> StoredObjects:
    """Return images, their list, and the marks."""
    manifest, files = a_phantom_manifest()
    return StoredObjects({**files, MANIFEST_KEY: the_manifest().to_bytes(), ARTEFACT_KEY: _marks(manifest)})


@cache
def the_manifest() -> Manifest:
    """Return the list of the phantom's images under its own study, with the digests that the intake gives."""
    manifest, files = a_phantom_manifest()
    (series,) = manifest.series
    instances = tuple(
        instance.model_copy(update={"digest": codec.sha256(split(files[instance.object_key]).data_set)})
        for instance in series.instances
    )
    listed = series.model_copy(update={"instances": instances})
    return manifest.model_copy(update={"study_instance_uid": STUDY_UID, "series": (listed,)})


@cache
def _marks(manifest: Manifest) -> bytes:
    """Return a box in the middle third of the slices, as a model stores it."""
    instances = sorted(manifest.series[0].instances, key=lambda i: (i.attributes.image_position_patient or (0,))[-1])
    rows, columns = instances[0].attributes.rows or 0, instances[0].attributes.columns or 0
    labels = np.zeros((len(instances), rows, columns), np.uint8)
    labels[len(instances) // 3 : 2 * len(instances) // 3, rows // 4 : rows // 2, columns // 4 : columns // 2] = 1
    written = BytesIO()
    np.savez_compressed(
        written, labels=labels, sop_instance_uids=np.array([instance.sop_instance_uid for instance in instances])
    )
    return written.getvalue()


@cache
def the_artefact() -> Artefact:
    """Return what is said of the marks."""
    manifest, _ = a_phantom_manifest()
    return an_artefact(
        key=ARTEFACT_KEY,
        digest=codec.sha256(the_objects().content[ARTEFACT_KEY]),
        series_instance_uid=manifest.series[0].series_instance_uid,
    )


LUNG = Concept(code="39607008", scheme="SCT", display="Lung")
VOLUME = Concept(code="118565006", scheme="SCT", display="Volume")


def a_placed_finding(**changed: Any) -> Finding:
    """Return a volume of the phantom's lung, with where it is and what it measures."""
    fields = {
        "series_instance_uid": the_artefact().series_instance_uid,
        "observation_sub_id": "1.1",
        "finding_site": LUNG,
        "property": VOLUME,
    }
    return a_finding(**fields | changed)


def a_result(**changed: Any) -> ModelResult:
    """Return what the model said, with its marks."""
    fields = {
        "model": a_model(),
        "outcome": Outcome.COMPLETED,
        "findings": (a_placed_finding(),),
        "decision": "job",
        "ended_at": NOON,
        "artefacts": (the_artefact(),),
    }
    return ModelResult.model_validate(fields | changed)


def an_imaged_document(**changed: Any) -> ReportDocument:
    """Return a draft about the phantom; with `signed_by` and `signed_at`, a signed report."""
    result = a_result()
    fields = {
        "study_instance_uid": STUDY_UID,
        "manifest_key": MANIFEST_KEY,
        "manifest_digest": codec.sha256(the_manifest().to_bytes()),
        "ai_results": (result,),
        "findings": result.findings,
        "series": (SeriesSummary(series_instance_uid=A_STUDY.series_instance_uid, modality="CT", instance_count=72),),
    }
    return a_report_document(**fields | changed)


def an_imaged_case(**changed: Any) -> Case:
    """Return the case of `an_imaged_document()`."""
    study = a_study(
        study_instance_uid=STUDY_UID,
        manifest_key=MANIFEST_KEY,
        manifest_digest=codec.sha256(the_manifest().to_bytes()),
    )
    return a_case(**{"study_instance_uid": STUDY_UID, "study": study} | changed)


@cache
def some_imaging() -> Imaging:
    """Return the images of `an_imaged_document()`."""
    return load(the_objects(), an_imaged_document())
