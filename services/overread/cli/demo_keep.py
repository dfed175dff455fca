"""`demo --keep`: after the story, cases that nobody has signed, and a stack that stays until it is told to stop."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from overread.cli import api_client, demo_cases, demo_study, up
from overread.cli.demo_peers import send_images, send_order
from overread.cli.demo_story import Story
from overread.cli.demo_study import DemoStudy
from overread.cli.demo_way import SIGNER, DemoFailed
from overread.embedded.profile import Profile

READY_SECONDS = 180.0
LOOK_SECONDS = 0.5

Rows = Sequence[Mapping[str, Any]]


async def keep(profile: Profile, story: Story) -> None:
    """Fill the worklist, say what waits in it and where, and return when SIGTERM or SIGINT comes, then or before."""
    told_to_stop = _signals()
    filling = asyncio.create_task(_fill(profile, story))
    stopping = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait([filling, stopping], return_when=asyncio.FIRST_COMPLETED)
    if stopping.done():
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
    else:
        await filling
        await stopping
    story.note("stopping")


def _signals() -> asyncio.Event:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _fill(profile: Profile, story: Story) -> None:
    story.step("Further cases come in by the same doors, an emergency last; nobody signs them")
    studies = await asyncio.to_thread(demo_cases.waiting_cases, demo_study.local_now())
    for study in studies:
        await _send(study, profile)
        story.note(f"{study.name}: {len(study.datasets)} images, {'ordered' if study.order else 'no order'}")
    story.done("cases_sent")
    story.step("Waiting until each can be read")
    story.waiting(await _until_readable(await asyncio.to_thread(_sign_in, profile), studies))
    story.done("cases_ready", "this is what the worklist shows; the emergency came last and stands first")
    _tell_where(profile, story)


async def _send(study: DemoStudy, profile: Profile) -> None:
    if study.order:
        code = await send_order(profile.port("MLLP"), study.order)
        if code != "CA":
            raise DemoFailed(f"the order of the case {study.name} was answered with {code}, not CA")
    await asyncio.to_thread(send_images, profile.port("DICOM"), study.datasets)


def _sign_in(profile: Profile) -> api_client.Api:
    url = f"http://127.0.0.1:{profile.port('HTTP')}"
    return api_client.Api(url, api_client.sign_in(SIGNER, url=url))


async def _until_readable(api: api_client.Api, studies: Sequence[DemoStudy]) -> Rows:
    """Return the open rows once every case waits for a reader, whatever a reader did with one meanwhile."""
    wanted = {study.study_instance_uid for study in studies}
    deadline = monotonic() + READY_SECONDS
    while monotonic() < deadline:
        rows: Rows = (await asyncio.to_thread(api.get, "/worklist", view="all"))["items"]
        pending = {row["study_instance_uid"] for row in rows if row["status"] in ("arriving", "waiting_for_ai")}
        if not pending and wanted <= {row["study_instance_uid"] for row in rows}:
            return [row for row in rows if row["study_instance_uid"] in wanted]
        await asyncio.sleep(LOOK_SECONDS)
    raise DemoFailed(f"not every case could be read within {READY_SECONDS:.0f} s")


def _tell_where(profile: Profile, story: Story) -> None:
    url = f"http://127.0.0.1:{profile.port('HTTP')}"
    story.step(f"It stays: open {url}/ and sign in as {SIGNER}; no password is asked here")
    for line in up.addresses(profile):
        story.note(line)
    story.note(f"operators     {url}/ops, sign in as ops")
    story.note(f"look on       ./run overread status --data {profile.data_dir}")
    story.note("running; Ctrl-C ends it, and removes what it made")
