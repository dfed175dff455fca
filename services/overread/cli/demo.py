"""`overread demo`: the main job once, on real servers: order and images in, a reading, a signature, the final message."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from overread.cli import api_client, demo_study, options, up
from overread.cli.demo_peers import Emr, send_images, send_order
from overread.cli.demo_story import Story
from overread.contracts.errors import OverreadError
from overread.embedded.profile import DICOM_PORT, MLLP_PORT, MODELS_FILE, Profile
from overread.inference import catalog

DRAFT_SECONDS = 180.0
DELIVERY_SECONDS = 60.0
POLL_SECONDS = 0.25
QUIET_SECONDS = "2"


class DemoFailed(OverreadError):
    """The way was not gone to its end."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="the main job once, told step by step, on real servers",
        description="Starts the whole stack in a folder of its own, sends an order (python-hl7) and a CT phantom of the "
        "chest (pynetdicom), lets the model read it, compares its numbers with the phantom's truth, claims and signs "
        "the report through the API, and shows the final ORU as an EMR (python-hl7) received it.",
    )
    parser.add_argument(
        "--json", action="store_true", help="standard output is one JSON object; progress goes to stderr"
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C, with its addresses")
    parser.add_argument("--study", type=Path, metavar="DIR", help="send your own images instead of the phantom")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo-out"),
        metavar="DIR",
        help="where the messages are left (default: demo-out)",
    )
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Go the whole way; 0 when the final message arrived."""
    return asyncio.run(_in_own_folder(told))


async def _in_own_folder(told: argparse.Namespace) -> int:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="overread-demo-"))
    out = (told.out / demo_study.local_now().strftime("%Y%m%d-%H%M%S")).resolve()
    out.mkdir(parents=True)
    story = Story(sys.stderr)
    emr = Emr(out)
    await emr.start()
    profile = Profile(
        data_dir=folder,
        port_offset=options.port_offset(),
        emr=f"mllp://127.0.0.1:{emr.port}",
        is_demo=True,
        settings={"OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": QUIET_SECONDS},
    )
    try:
        story.step("Starting Kafka, PostgreSQL, Triton and nine services")
        async with profile.stack(story.note):
            story.done("stack_ready")
            result = await _Demo(told, profile, emr, story, out).go()
            _tell(result, story, as_json=told.json)
            await _keep(profile, story, is_kept=told.keep)
    except OverreadError:
        story.note(f"the services' logs are kept in {folder / 'logs'}")
        raise
    finally:
        await emr.stop()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return 0


async def _keep(profile: Profile, story: Story, *, is_kept: bool) -> None:
    if is_kept:
        for line in up.addresses(profile):
            story.note(line)
        story.note("the demo profile signs users in without a password: ./run overread token --user radiologist")
        story.note("running; Ctrl-C ends it")
        await _signal()


async def _signal() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


@dataclass
class _Demo:
    """One run of the story; each step leaves its files in `out` and its seconds in the story."""

    told: argparse.Namespace
    profile: Profile
    emr: Emr
    story: Story
    out: Path
    messages: dict[str, str] = field(default_factory=dict)

    async def go(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        study = await asyncio.to_thread(self._make_study)
        await self._order(study)
        last_image = await self._images(study)
        api, signer = await asyncio.to_thread(self._sign_in)
        report = await self._draft(api, study, last_image)
        await self._unverified()
        signed = await self._sign(api, report)
        await self._final(api, report, signed)
        return {
            "study_instance_uid": study.study_instance_uid,
            "accession_number": study.accession_number,
            "findings": [_plain(finding) for finding in report["document"]["findings"]],
            "truth": self.story.truth,
            "signed_by": signer,
            "messages": self.messages,
            "seconds": self.story.seconds,
        }

    def _make_study(self) -> demo_study.DemoStudy:
        now = demo_study.local_now()
        if self.told.study is not None:
            return demo_study.own_study(self.told.study, now)
        self.story.step("Making a CT phantom of the chest, counting its true lung volume and densities")
        study = demo_study.phantom_study(now)
        self.story.done("phantom")
        return study

    async def _order(self, study: demo_study.DemoStudy) -> None:
        self.story.step(f"HIS sends the order OMI^O23, accession {study.accession_number}, over MLLP (python-hl7)")
        self._leave("order", "00-his-sent-omi.hl7", study.order)
        code = await send_order(MLLP_PORT + self.profile.port_offset, study.order)
        if code != "CA":
            raise DemoFailed(f"the order was answered with {code}, not CA")
        self.story.done("order_acknowledged", "CA: the order is on synced disk")

    async def _images(self, study: demo_study.DemoStudy) -> float:
        self.story.step(f"The scanner sends {len(study.datasets)} images by C-STORE (pynetdicom)")
        await asyncio.to_thread(send_images, DICOM_PORT + self.profile.port_offset, study.datasets)
        self.story.done("images_stored", "0x0000 for each: every image is on synced disk")
        return monotonic()

    def _sign_in(self) -> tuple[api_client.Api, str]:
        url = api_client.base_url(self.profile.port_offset)
        return api_client.Api(url, api_client.sign_in("radiologist", url=url)), "radiologist"

    async def _draft(self, api: api_client.Api, study: demo_study.DemoStudy, last_image: float) -> dict[str, Any]:
        self.story.step("Waiting until the study is whole, and the model has read it")
        _show_card(self.story)
        report = await self._until_drafted(api, study.accession_number)
        self.story.seconds["last_image_to_draft"] = round(monotonic() - last_image, 2)
        self.story.done("draft", f"report {report['report_id']} is drafted")
        self.story.findings(report["document"], study.truth)
        return report

    async def _until_drafted(self, api: api_client.Api, accession_number: str) -> dict[str, Any]:
        deadline = monotonic() + DRAFT_SECONDS
        while monotonic() < deadline:
            found = await asyncio.to_thread(api.get, "/reports", accession_number=accession_number)
            if found["items"] and found["items"][0]["state"] == "drafted":
                report: dict[str, Any] = await asyncio.to_thread(api.get, f"/reports/{found['items'][0]['report_id']}")
                return report
            await asyncio.sleep(POLL_SECONDS)
        raise DemoFailed(f"no draft came within {DRAFT_SECONDS:.0f} s")

    async def _unverified(self) -> None:
        self.story.step("The EMR gets the unverified result: ORU^R01, OBR-25 R, no clinician has confirmed it")
        path, _ = await self._received("R")
        self.messages["oru_unverified"] = str(path)
        self.story.done("unverified_delivered", path.name)

    async def _sign(self, api: api_client.Api, report: dict[str, Any]) -> float:
        self.story.step("A clinician claims the draft and signs exactly what was on screen")
        path = f"/reports/{report['report_id']}"
        claimed = await asyncio.to_thread(api.post, f"{path}/claim")
        body = {"digest": claimed["digest"], "verdict": "accepted"}
        signed = await asyncio.to_thread(api.post, f"{path}/sign", body)
        self.story.done("signed", f"signed by radiologist, digest {signed['digest'][:12]}")
        return monotonic()

    async def _final(self, api: api_client.Api, report: dict[str, Any], signed_at: float) -> None:
        self.story.step("The gate checks signature, identity and every number, and sends the final ORU^R01, OBR-25 F")
        path, at = await self._received("F")
        self.messages["oru_final"] = str(path)
        self.story.seconds["signature_to_emr"] = round(at - signed_at, 2)
        self.story.done("final_delivered", path.name)
        state = await asyncio.to_thread(api.get, f"/reports/{report['report_id']}")
        self._leave("report", "99-report.json", json.dumps(state, ensure_ascii=False, indent=2))

    async def _received(self, status: str) -> tuple[Path, float]:
        try:
            return await self.emr.wait_for(status, DELIVERY_SECONDS)
        except TimeoutError:
            raise DemoFailed(f"the EMR got no ORU with OBR-25 {status} within {DELIVERY_SECONDS:.0f} s") from None

    def _leave(self, name: str, file_name: str, text: str) -> None:
        path = self.out / file_name
        path.write_text(text, encoding="utf-8", newline="")
        self.messages[name] = str(path)


def _show_card(story: Story) -> None:
    for model in catalog.load(MODELS_FILE).models:
        story.note(f"model {model.name} {model.version}: {model.intended_use}")


def _plain(finding: dict[str, Any]) -> dict[str, Any]:
    names = ("code", "scheme", "display", "value", "unit", "coded_value_display")
    return {name: finding[name] for name in names if finding.get(name)}


def _tell(result: dict[str, Any], story: Story, *, as_json: bool) -> None:
    story.table(result)
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        sys.stdout.flush()
