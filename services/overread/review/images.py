"""The images of a study as a viewer walks through them, and the models' segmentations frame by frame."""

import asyncio
import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Artefact
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.runtime.object_store import LocalObjectStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

V = TypeVar("V")

MANIFESTS_KEPT = 32
SEGMENTATIONS_KEPT = 3
"""A segmentation of a large CT is tens of megabytes once unpacked."""


class InstanceView(BaseModel):
    """One image of a series."""

    sop_instance_uid: str
    instance_number: int | None
    number_of_frames: int


class SeriesView(BaseModel):
    """One series, its images in viewing order."""

    series_instance_uid: str
    modality: str
    series_number: int | None
    series_description: str
    rows: int | None
    columns: int | None
    instances: list[InstanceView]


class ImagesView(BaseModel):
    """The images that a report is about; `are_all` is false while newer ones arrive, or when they came later."""

    study_instance_uid: str
    study_revision: int
    are_all: bool
    series: list[SeriesView]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The labels of each frame, and which image each frame lies on."""

    labels: "NDArray[np.uint8]"
    sop_instance_uids: tuple[str, ...]

    def frame_of(self, sop_instance_uid: str) -> bytes | None:
        """Return the frame on that image, row by row, or None when nothing is on it."""
        if sop_instance_uid not in self.sop_instance_uids:
            return None
        frame = self.labels[self.sop_instance_uids.index(sop_instance_uid)]
        return frame.tobytes() if frame.any() else None

    @property
    def uids_with_something(self) -> list[str]:
        """Return the images on which something is marked."""
        return [uid for uid, frame in zip(self.sop_instance_uids, self.labels, strict=True) if frame.any()]


class _Kept(Generic[V]):
    """The last few objects of one kind, read once; an object under its digest never changes."""

    def __init__(self, objects: LocalObjectStore, read: Callable[[bytes], V], most: int) -> None:
        self._objects = objects
        self._read = read
        self._most = most
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def get(self, key: str, digest: str) -> V:
        """Return the object; raise `ObjectMissing`, or `Malformed` when it is not the one that the digest names."""
        async with self._one_at_a_time:
            if digest not in self._kept:
                self._kept[digest] = await asyncio.to_thread(self._fetched, key, digest)
            self._kept.move_to_end(digest)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[digest]

    def _fetched(self, key: str, digest: str) -> V:
        raw = self._objects.read(key)
        if codec.sha256(raw) != digest:
            raise Malformed("a stored object is not the one that its digest names")
        return self._read(raw)


class Images:
    """Reads manifests and segmentations, and keeps the last few."""

    def __init__(self, objects: LocalObjectStore) -> None:
        self._manifests = _Kept(objects, Manifest.from_bytes, MANIFESTS_KEPT)
        self._segmentations = _Kept(objects, read_segmentation, SEGMENTATIONS_KEPT)

    async def manifest(self, key: str, digest: str) -> Manifest:
        """Return the manifest; raise `ObjectMissing`, or `Malformed` when it is not the one that was signed for."""
        return await self._manifests.get(key, digest)

    async def segmentation(self, artefact: Artefact) -> Segmentation:
        """Return the segmentation; raise `ObjectMissing`, or `Malformed` when it is not what the model stored."""
        return await self._segmentations.get(artefact.key, artefact.digest)


def read_segmentation(raw: bytes) -> Segmentation:
    """Return what a model stored (`contracts.events.inference.Artefact`), or raise `Malformed`."""
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            labels, uids = stored["labels"], stored["sop_instance_uids"]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise Malformed("the segmentation can't be read") from error
    if labels.dtype != np.uint8 or labels.ndim != 3 or uids.shape != labels.shape[:1]:
        raise Malformed("the segmentation has not the form that was agreed")
    return Segmentation(labels, tuple(str(uid) for uid in uids))


def images_view(manifest: Manifest, *, are_all: bool) -> ImagesView:
    """Return the study as a viewer shows it: series by number, images in viewing order."""
    series = [_series_view(one) for one in manifest.series if one.instances]
    return ImagesView(
        study_instance_uid=manifest.study_instance_uid,
        study_revision=manifest.study_revision,
        are_all=are_all,
        series=sorted(series, key=lambda one: (one.series_number is None, one.series_number or 0)),
    )


def _series_view(series: ManifestSeries) -> SeriesView:
    ordered = in_viewing_order(series.instances)
    first = ordered[0].attributes
    return SeriesView(
        series_instance_uid=series.series_instance_uid,
        modality=first.modality or "",
        series_number=first.series_number,
        series_description=first.series_description or "",
        rows=first.rows,
        columns=first.columns,
        instances=[
            InstanceView(
                sop_instance_uid=one.sop_instance_uid,
                instance_number=one.attributes.instance_number,
                number_of_frames=one.attributes.number_of_frames or 1,
            )
            for one in ordered
        ],
    )


def in_viewing_order(instances: Sequence[ManifestInstance]) -> list[ManifestInstance]:
    """Return images by instance number; where numbers are missing or double, along the stack's own normal."""
    numbers = [one.attributes.instance_number for one in instances]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return sorted(instances, key=lambda one: one.attributes.instance_number or 0)
    places = [_place_along_normal(one) for one in instances]
    if None not in places:
        return [one for _, _, one in sorted(zip(places, range(len(places)), instances, strict=True), key=_place_first)]
    return sorted(instances, key=lambda one: (one.attributes.instance_number or 0, one.sop_instance_uid))


def _place_first(entry: tuple[float | None, int, ManifestInstance]) -> tuple[float, int]:
    return entry[0] or 0.0, entry[1]


def _place_along_normal(instance: ManifestInstance) -> float | None:
    """Return where an image lies along its normal (PS3.3, C.7.6.2.1.1)."""
    orientation, position = instance.attributes.image_orientation_patient, instance.attributes.image_position_patient
    if orientation is None or position is None:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return float(np.dot(normal, position))
