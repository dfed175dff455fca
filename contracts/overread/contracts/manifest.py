"""The manifest of a study revision: a stored object that names every instance, since no event is large enough."""

from typing import Self

from pydantic import ValidationError

from overread.contracts import codec
from overread.contracts.envelope import Body, Value
from overread.contracts.errors import Malformed
from overread.contracts.events.intake import InstanceAttributes
from overread.contracts.identifiers import Sha256, SopClassUid, SopInstanceUid, StudyInstanceUid


class ManifestInstance(Value):
    """One instance: where its bytes are, and the header attributes that later steps decide by."""

    sop_instance_uid: SopInstanceUid
    sop_class_uid: SopClassUid
    transfer_syntax_uid: str
    object_key: str
    digest: Sha256
    attributes: InstanceAttributes


class ManifestSeries(Value):
    """One series with its instances in order of SOPInstanceUID."""

    series_instance_uid: str
    instances: tuple[ManifestInstance, ...]


class Manifest(Body):
    """What a study held when it was taken for whole. Accompanying objects (SR, SEG, KOS, PR, PDF) are not in it."""

    study_instance_uid: StudyInstanceUid
    study_revision: int
    series: tuple[ManifestSeries, ...]

    def to_bytes(self) -> bytes:
        """Return the stored form; its digest is in the case."""
        return codec.document_bytes(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the manifest in `raw`, or raise `Malformed`."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            raise Malformed("the study manifest can't be read") from error

    def series_named(self, series_instance_uid: str) -> ManifestSeries:
        """Return one series, or raise `Malformed` when the study has no such series."""
        for series in self.series:
            if series.series_instance_uid == series_instance_uid:
                return series
        raise Malformed("the study manifest has no such series")
