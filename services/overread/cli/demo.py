"""`overread demo`: the main job once, on real servers: order and images in, a reading, a signature, the final message."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cli import api_client, demo_keep, demo_study, options
from overread.cli.demo_peers import Emr, FhirReceiver, Pacs
from overread.cli.demo_story import Story
from overread.cli.demo_way import NAMED, SIGNER, Hospital, Way
from overread.contracts.errors import OverreadError
from overread.embedded import setup
from overread.embedded.endpoints import Endpoints
from overread.embedded.fhir_emr import FhirEmr
from overread.embedded.profile import MODELS_FILE, Profile
from overread.inference import catalog

QUIET_SECONDS = "2"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="the main job once, told step by step, on real servers",
        description="Starts the whole stack in a folder of its own, sends orders (python-hl7) and a CT phantom of the "
        "chest and an MR brain template (pynetdicom), lets the models read them, compares their numbers with the truth, "
        "claims and signs the reports through the API, and shows what an EMR (python-hl7), a PACS (pynetdicom) and a "
        "FHIR server (HAPI) received.",
    )
    parser.add_argument(
        "--json", action="store_true", help="standard output is one JSON object; progress goes to stderr"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave the stack running until Ctrl-C, with its addresses and a worklist of cases that nobody has signed",
    )
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
    await asyncio.to_thread(setup.prepare, _say)  # the hospital needs it too, before the stack does
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="overread-demo-"))
    out = (told.out / demo_study.local_now().strftime("%Y%m%d-%H%M%S")).resolve()
    out.mkdir(parents=True)
    story = Story(sys.stderr)
    hospital = Hospital(Emr(out), Pacs(out), FhirReceiver(out, FhirEmr(folder / "fhir-emr")))
    story.step("Starting the demo's hospital: an EMR (python-hl7), a PACS (pynetdicom), a FHIR server (HAPI)")
    try:
        await hospital.start()
        story.done("hospital_ready")
        await _with_stack(told, _profile(folder, hospital), hospital, story, out)
    except OverreadError:
        story.note(f"the services' logs are kept in {folder / 'logs'}")
        raise
    finally:
        await hospital.stop()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _profile(folder: Path, hospital: Hospital) -> Profile:
    return Profile(
        data_dir=folder,
        port_offset=options.port_offset(),
        emr=f"mllp://127.0.0.1:{hospital.emr.port}",
        pacs=f"dicom://DEMO_PACS@127.0.0.1:{hospital.pacs.port}",
        fhir=hospital.fhir.server.url,
        fhir_token_file=hospital.fhir.server.token_file,
        is_demo=True,
        settings={"OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": QUIET_SECONDS},
    )


async def _with_stack(told: argparse.Namespace, profile: Profile, hospital: Hospital, story: Story, out: Path) -> None:
    story.step("Starting Kafka, PostgreSQL, Triton and the services")
    async with profile.stack(story.note):
        story.done("stack_ready")
        result = await _Demo(told, profile, hospital, story, out).go()
        _tell(result, story, as_json=told.json)
        if told.keep:
            await demo_keep.keep(profile, story)


@dataclass
class _Demo:
    """One run of the story; each step leaves its files in `out` and its seconds in the story."""

    told: argparse.Namespace
    profile: Profile
    hospital: Hospital
    story: Story
    out: Path

    async def go(self) -> dict[str, Any]:
        """Return what `--json` prints: first and by itself the first study, then all of them."""
        ways = [Way(study, self.hospital, self.story, self.out) for study in await asyncio.to_thread(self._studies)]
        for way in ways:
            await way.arrive(self.profile.port("MLLP"), self.profile.port("DICOM"))
        api = await asyncio.to_thread(self._sign_in)
        _show_cards(self.story)
        endpoints = Endpoints.of(self.profile.data_dir)
        for way in ways:
            await way.draft(api, endpoints)
        for way in ways:
            await way.sign(api)
        self.story.seconds["total"] = self.story.so_far
        studies = [way.result() for way in ways]
        return {
            **studies[0],
            "truth": self.story.truth,
            "signed_by": SIGNER,
            **{name: studies[0]["messages"][name] for name in NAMED},
            "seconds": self.story.seconds,
            "studies": studies,
        }

    def _studies(self) -> list[demo_study.DemoStudy]:
        now = demo_study.local_now()
        if self.told.study is not None:
            return [demo_study.own_study(self.told.study, now)]
        self.story.step(
            "Making a CT phantom of the chest with its true numbers, and the ICBM152 brain template as an MR"
        )
        studies = [demo_study.ct_study(now), demo_study.mr_study(now)]
        self.story.done("studies_made")
        return studies

    def _sign_in(self) -> api_client.Api:
        url = f"http://127.0.0.1:{self.profile.port('HTTP')}"
        return api_client.Api(url, api_client.sign_in(SIGNER, url=url))


def _show_cards(story: Story) -> None:
    for model in catalog.load(MODELS_FILE).models:
        story.note(f"model {model.name} {model.version}: {model.intended_use}")


def _tell(result: dict[str, Any], story: Story, *, as_json: bool) -> None:
    story.table(result)
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        sys.stdout.flush()
