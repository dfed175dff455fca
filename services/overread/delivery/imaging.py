"""What a report in DICOM needs of the study it is about: its list of images, a header, and what the models marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from pydicom import Dataset, dcmread

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Artefact
from overread.contracts.events.reports import ModelResult, ReportDocument
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.delivery.stated_marks import stated
from overread.protocols.dicom import part10
from overread.protocols.dicom.key_image import key_frame
from overread.protocols.dicom.segmentation import read_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImagesUnfit(Malformed):
    """What is stored is not what the report is about."""


class Objects(Protocol):
    """Where the objects are."""

    def read(self, key: str) -> bytes:
        """Return the object, blocking."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What one model marked in one series; `key_image` is the stored image in which it marked most."""

    result: ModelResult
    artefact: Artefact
    series: ManifestSeries
    header: Dataset
    labels: "NDArray[np.uint8]"
    sop_instance_uids: tuple[str, ...]
    key_frame: int
    key_image: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Imaging:
    """The study as its manifest lists it; `header` is that of its first image, without pixels."""

    manifest: Manifest
    header: Dataset
    segmentations: tuple[Segmentation, ...]


def load(objects: Objects, document: ReportDocument) -> Imaging:
    """Return what the objects say, blocking; raise `ImagesUnfit` when they are not those that were reported on.

    Nothing is read beyond the document's own site, and nothing whose digest is not the one that was signed.
    """
    manifest = Manifest.from_bytes(_read(objects, document, document.manifest_key, document.manifest_digest))
    if manifest.study_instance_uid != document.study_instance_uid or not manifest.series:
        raise ImagesUnfit("the list of images is another study's")
    return Imaging(
        manifest=manifest,
        header=_header(_image(objects, document, manifest.series[0].instances[0])),
        segmentations=tuple(_segmentation(objects, document, manifest, *each) for each in stated(document)),
    )


def _segmentation(
    objects: Objects, document: ReportDocument, manifest: Manifest, result: ModelResult, artefact: Artefact
) -> Segmentation:
    labels, sop_instance_uids = read_labels(_read(objects, document, artefact.key, artefact.digest))
    series = manifest.series_named(artefact.series_instance_uid)
    key = key_frame(labels)
    first = _image(objects, document, _instance(series, sop_instance_uids[0]))
    return Segmentation(
        result=result,
        artefact=artefact,
        series=series,
        header=_header(first),
        labels=labels,
        sop_instance_uids=sop_instance_uids,
        key_frame=key,
        key_image=_image(objects, document, _instance(series, sop_instance_uids[key])),
    )


def _instance(series: ManifestSeries, sop_instance_uid: str) -> ManifestInstance:
    found = next((each for each in series.instances if each.sop_instance_uid == sop_instance_uid), None)
    if found is None:
        raise ImagesUnfit("a model marked an image that is not in the study")
    return found


def _image(objects: Objects, document: ReportDocument, instance: ManifestInstance) -> bytes:
    """Return the Part 10 file; the digest is that of the data set in it, as it was received."""
    content = _content(objects, document, instance.object_key)
    _require_digest(part10.split(content).data_set, instance.digest)
    return content


def _read(objects: Objects, document: ReportDocument, key: str, digest: str) -> bytes:
    content = _content(objects, document, key)
    _require_digest(content, digest)
    return content


def _content(objects: Objects, document: ReportDocument, key: str) -> bytes:
    if not key.startswith(f"{document.site_id}/"):
        raise ImagesUnfit("the report does not name where its images are")
    return objects.read(key)


def _require_digest(content: bytes, digest: str) -> None:
    if codec.sha256(content) != digest:
        raise ImagesUnfit("what is stored is not what the report is about")


def _header(content: bytes) -> Dataset:
    return dcmread(BytesIO(content), stop_before_pixels=True)


def referenced(imaging: Imaging, series_instance_uids: Sequence[str]) -> tuple[ManifestSeries, ...]:
    """Return the named series, or all of the study where none is named."""
    named = tuple(s for s in imaging.manifest.series if s.series_instance_uid in series_instance_uids)
    return named or imaging.manifest.series
