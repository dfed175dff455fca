"""The manifest of a phantom study as assembly would write it, with the bytes that it names."""

from functools import cache
from typing import Any

from overread.contracts import codec
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from tests.builders.events import STUDY
from tests.builders.imaging import a_phantom, file_bytes


@cache
def a_phantom_manifest() -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest of `a_phantom()`, and its files by object key."""
    contents: dict[str, bytes] = {}
    instances = []
    for dataset in a_phantom().datasets:
        content = file_bytes(dataset)
        part10 = split(content)
        header = read_header([part10.data_set], part10.transfer_syntax_uid)
        digest = codec.sha256(content)
        key = f"site/studies/{STUDY}/{header.sop_instance_uid}/{digest}"
        contents[key] = content
        instances.append(
            ManifestInstance(
                sop_instance_uid=header.sop_instance_uid,
                sop_class_uid=header.sop_class_uid,
                transfer_syntax_uid=part10.transfer_syntax_uid,
                object_key=key,
                digest=digest,
                attributes=header.attributes,
            )
        )
    series = ManifestSeries(series_instance_uid=instances[0].attributes.series_instance_uid, instances=tuple(instances))
    return Manifest(study_instance_uid=STUDY, study_revision=1, series=(series,)), contents


def a_manifest(**header: Any) -> Manifest:
    """Return the phantom's manifest with other header attributes in every image."""
    manifest, _ = a_phantom_manifest()
    (series,) = manifest.series
    instances = tuple(
        instance.model_copy(update={"attributes": instance.attributes.model_copy(update=header)})
        for instance in series.instances
    )
    return manifest.model_copy(update={"series": (series.model_copy(update={"instances": instances}),)})
