"""One study's way through the demo: order and images in, a draft, a signature, and the results in three forms."""

import asyncio
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from overread.cli import api_client, demo_hops, demo_mask
from overread.cli.demo_mask import MaskOnTemplate
from overread.cli.demo_peers import Emr, FhirReceiver, Pacs, send_images, send_order
from overread.cli.demo_story import Story, mask_lines
from overread.cli.demo_study import DemoStudy
from overread.contracts.errors import OverreadError
from overread.embedded.endpoints import Endpoints
from overread.embedded.t1_template import T1Truth
from overread.runtime.clock import utc_now

SIGNER = "radiologist"
DRAFT_SECONDS = 180.0
DELIVERY_SECONDS = 60.0
POLL_SECONDS = 0.25

NAMED = ("oru_unverified", "oru_final", "fhir_final", "sr_final")
"""The results that `--json` names by themselves."""


class DemoFailed(OverreadError):
    """The way was not gone to its end."""


@dataclass
class Hospital:
    """Who sends and receives around the stack."""

    emr: Emr
    pacs: Pacs
    fhir: FhirReceiver

    async def start(self) -> None:
        """Let everybody listen."""
        await asyncio.gather(self.emr.start(), asyncio.to_thread(self.pacs.start), self.fhir.server.start())

    async def stop(self) -> None:
        """Let everybody leave."""
        await asyncio.gather(self.emr.stop(), asyncio.to_thread(self.pacs.stop), self.fhir.server.stop())


@dataclass
class Way:
    """One study, its files in `out` and its seconds in the story."""

    study: DemoStudy
    hospital: Hospital
    story: Story
    out: Path
    messages: dict[str, str] = field(default_factory=dict)
    _report: dict[str, Any] = field(default_factory=dict)
    _last_image: float = 0.0
    _last_image_at: datetime | None = None
    _mask: MaskOnTemplate | None = None

    async def arrive(self, mllp_port: int, dicom_port: int) -> None:
        """Send the order and the images."""
        study = self.study
        self.story.step(f"HIS sends the order OMI^O23, accession {study.accession_number}, over MLLP (python-hl7)")
        self._leave("order", f"{study.name}-his-sent-omi.hl7", study.order)
        code = await send_order(mllp_port, study.order)
        if code != "CA":
            raise DemoFailed(f"the order was answered with {code}, not CA")
        self._done("order_acknowledged", "CA: the order is on synced disk")
        self.story.step(f"The scanner sends {len(study.datasets)} {study.name} images by C-STORE (pynetdicom)")
        await asyncio.to_thread(send_images, dicom_port, study.datasets)
        self._done("images_stored", "0x0000 for each: every image is on synced disk")
        self._last_image, self._last_image_at = monotonic(), utc_now()

    async def draft(self, api: api_client.Api, endpoints: Endpoints) -> None:
        """Wait for the draft, and show what the model found beside the truth, and how long each service had the study."""
        self.story.step(f"Waiting until the {self.study.name} study is whole, and its model has read it")
        self._report = await self._until_drafted(api)
        self._seconds("last_image_to_draft", monotonic() - self._last_image)
        self._done("draft", f"report {self._report['report_id']} is drafted")
        await self._split(endpoints)
        self.story.findings(self._report["document"], self.study.truth)

    async def _split(self, endpoints: Endpoints) -> None:
        """Say which service took how much of the way to the draft."""
        if self._last_image_at is None:
            return
        hops = await demo_hops.seconds_by_service(endpoints, self._report["document"]["case_id"], self._last_image_at)
        for service, seconds in hops.items():
            self._seconds(service, seconds)
        self.story.note(" · ".join(f"{service} {seconds:.2f} s" for service, seconds in hops.items()))

    async def _until_drafted(self, api: api_client.Api) -> dict[str, Any]:
        deadline = monotonic() + DRAFT_SECONDS
        while monotonic() < deadline:
            found = await asyncio.to_thread(api.get, "/reports", accession_number=self.study.accession_number)
            if found["items"] and found["items"][0]["state"] == "drafted":
                report: dict[str, Any] = await asyncio.to_thread(api.get, f"/reports/{found['items'][0]['report_id']}")
                return report
            await asyncio.sleep(POLL_SECONDS)
        raise DemoFailed(f"no draft came within {DRAFT_SECONDS:.0f} s")

    async def sign(self, api: api_client.Api) -> None:
        """Show the unverified results, sign what was on screen, and wait for the final ones."""
        self.story.step(
            f"{self.study.name}: unverified results arrive as R, partial and UNVERIFIED: nobody has confirmed"
        )
        await self._results(unverified=True)
        await self._lay_mask_on_template()
        self._done("unverified_delivered")
        self.story.step(f"{self.study.name}: a clinician claims the draft and signs exactly what was on screen")
        path = f"/reports/{self._report['report_id']}"
        claimed = await asyncio.to_thread(api.post, f"{path}/claim")
        body = {"digest": claimed["digest"], "verdict": "accepted"}
        signed = await asyncio.to_thread(api.post, f"{path}/sign", body)
        signed_at = monotonic()
        self._done("signed", f"signed by {SIGNER}, digest {signed['digest'][:12]}")
        self.story.step(
            f"{self.study.name}: the gate checks signature, identity and every number in each form, and sends"
        )
        for name, at in (await self._results(unverified=False)).items():
            self._seconds(f"signature_to_{name}", at - signed_at)
        self._done("final_delivered")
        state = await asyncio.to_thread(api.get, path)
        self._leave("report", f"{self.study.name}-report.json", json.dumps(state, ensure_ascii=False, indent=2))

    async def _lay_mask_on_template(self) -> None:
        """Show, where the study is the template, what its own maps of grey and white matter say of the mask."""
        truth = self.study.truth
        segmentation = self.hospital.pacs.segmentation_of(self.study.study_instance_uid)
        if isinstance(truth, T1Truth) and segmentation is not None:
            self._mask = await asyncio.to_thread(demo_mask.compare, segmentation, truth)
            for line in mask_lines(self._mask):
                self.story.note(line)

    async def _results(self, *, unverified: bool) -> dict[str, float]:
        """Wait for the result in three forms; return when each came, by its receiver."""
        words = ("R", "partial", "UNVERIFIED") if unverified else ("F", "final", "VERIFIED")
        suffix = "unverified" if unverified else "final"
        uid, hospital = self.study.study_instance_uid, self.hospital
        waited = (
            hospital.emr.wait_for(uid, words[0], DELIVERY_SECONDS),
            hospital.fhir.wait_for_report(str(self._report["report_id"]), words[1], DELIVERY_SECONDS),
            hospital.pacs.wait_for_report(uid, words[2], DELIVERY_SECONDS),
        )
        try:
            results = dict(zip(("oru", "fhir", "sr"), await asyncio.gather(*waited), strict=True))
        except TimeoutError:
            raise DemoFailed(f"not every {suffix} result arrived within {DELIVERY_SECONDS:.0f} s") from None
        for form, (path, _) in results.items():
            self.messages[f"{form}_{suffix}"] = str(path)
            self.story.note(f"{form:5} {path.name}")
        return {name: results[form][1] for name, form in (("emr", "oru"), ("fhir", "fhir"), ("pacs", "sr"))}

    def result(self) -> dict[str, Any]:
        """Return what is said of the study."""
        return {
            "study_instance_uid": self.study.study_instance_uid,
            "accession_number": self.study.accession_number,
            "findings": [_plain(finding) for finding in self._report["document"]["findings"]],
            "messages": self.messages,
            **({"mask": asdict(self._mask)} if self._mask else {}),
        }

    def _done(self, name: str, sentence: str = "") -> None:
        self.story.done(f"{self.study.name}_{name}".lower(), sentence)

    def _seconds(self, name: str, seconds: float) -> None:
        self.story.seconds[f"{self.study.name}_{name}".lower()] = round(seconds, 2)

    def _leave(self, name: str, file_name: str, text: str) -> None:
        path = self.out / file_name
        path.write_text(text, encoding="utf-8", newline="")
        self.messages[name] = str(path)


def _plain(finding: dict[str, Any]) -> dict[str, Any]:
    names = ("code", "scheme", "display", "value", "unit", "coded_value_display")
    return {name: finding[name] for name in names if finding.get(name)}
