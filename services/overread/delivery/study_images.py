"""The images behind reports as they are needed, read in a thread; those of the last few studies are kept."""

import asyncio
import importlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.events.reports import ReportDocument
from overread.delivery.destinations import Destination
from overread.delivery.forms import needs_images
from overread.delivery.large_messages import ObjectBroken, objects_away
from overread.delivery.telling import orders_of
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.telemetry import log

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging

KEPT = 3


class StudyImages:
    """What DICOM results are made of, beside the document."""

    def __init__(self, objects: LocalObjectStore) -> None:
        self._objects = objects
        self._kept: OrderedDict[tuple[str, ...], Imaging] = OrderedDict()

    async def warm(self) -> None:
        """Import now what the first report would otherwise wait for; image libraries cost a second or two."""
        await asyncio.to_thread(importlib.import_module, "overread.delivery.dicom_forms")

    async def of(self, document: ReportDocument) -> "Imaging":
        """Return the images that `document` is about; raise an `OverreadError` when they are not as it says."""
        key = _key(document)
        if key not in self._kept:
            with objects_away():
                self._kept[key] = await asyncio.to_thread(self._load, document)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _load(self, document: ReportDocument) -> "Imaging":
        # Imported here: image libraries cost a second, and a site may send no DICOM at all.
        from overread.delivery.imaging import load  # noqa: PLC0415

        return load(self._objects, document)


async def images_for(
    images: StudyImages, document: ReportDocument, destinations: Iterable[Destination]
) -> "Imaging | None":
    """Return the images where one of the destinations is told of them; None, and a line in the log, when they are unfit.

    One that can't be read while the store answers is unfit too: nobody mends it by waiting.
    """
    has_order = bool(orders_of(document))
    if not any(needs_images(d) and d.takes(document.site_id, has_order=has_order) for d in destinations):
        return None
    try:
        return await images.of(document)
    except OverreadError as unfit:
        if isinstance(unfit, Unavailable) and not isinstance(unfit, ObjectBroken):
            raise
        log.error("images_unfit", report_id=str(document.report_id), reason=str(unfit))
        return None


def _key(document: ReportDocument) -> tuple[str, ...]:
    """Name what the images depend on: what the study holds, and what the report states of what models marked."""
    artefacts = (artefact.digest for result in document.ai_results for artefact in result.artefacts)
    findings = (finding.model_dump_json() for finding in document.findings)
    return document.site_id, document.manifest_key, document.manifest_digest, *artefacts, "", *findings
