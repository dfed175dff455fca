"""Servers that stay away for ten minutes: two stories, each on a thread and in a hospital of its own.

A story ends before its hospital closes; the tests judge what it kept. PostgreSQL hangs (SIGSTOP) while Triton is dead
and every new start of it fails, as when its disk is not there; Kafka hangs.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overread.embedded.profile import MODELS_FILE, Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import ServiceSpec, Stack
from overread.embedded.triton import MODEL_REPOSITORY
from tests.e2e.hospital import Visit
from tests.e2e.victims import stopped
from tests.e2e.ward import CATCH_UP_SECONDS, Abandoned, Ward, opened
from tests.fakes.peers import Emr, send_hl7_until_kept, store_until_kept, wait_until

AWAY_SECONDS = 600.0
CLAIM_SECONDS, DEADLINE_SECONDS = 240, 300
OUTSTANDING_EVENTS = 100
"""Fewer than the images offered meanwhile, so that the DICOM intake comes to its bound."""

SETTINGS = {
    "OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": "1",
    "OVERREAD_CLAIM_SECONDS": str(CLAIM_SECONDS),
    "OVERREAD_DICOM_OUTSTANDING_EVENTS": str(OUTSTANDING_EVENTS),
}

Story = Callable[[Ward, Callable[[], None]], None]


@dataclass
class Absence:
    """One story on its thread, from its hospital's first start to its last stop."""

    name: str
    stack: Callable[[str], Stack]
    story: Story
    failure: BaseException | None = None
    ward: Ward | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _away: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Start the hospital and the story."""
        self._thread = threading.Thread(target=self._tell, name=self.name, daemon=True)
        self._thread.start()

    def until_away(self) -> Ward:
        """Return when the servers are away."""
        self._away.wait()
        return self._told()

    def until_told(self, progress: Callable[[str], None]) -> Ward:
        """Return when the story has ended, saying now and then that it goes on; raise what ended it before its time."""
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(30)
            progress(f"{self.name}: waited {time.monotonic() - began:.0f} s of the ten minutes and the catching up")
        return self._told()

    def abandon(self) -> None:
        """End the story where it is, and its hospital."""
        self._over.set()
        self._thread.join()

    def _told(self) -> Ward:
        if self.failure is not None:
            raise self.failure
        assert self.ward is not None
        return self.ward

    def _tell(self) -> None:
        try:
            with Emr() as emr, opened(self.stack(emr.url), emr, self._over) as ward:
                self.ward = ward
                self.story(ward, self._away.set)
        except Abandoned:
            pass
        except BaseException as failure:  # noqa: BLE001 - raised again where the test asks for the story
            self.failure = failure
        finally:
            self._away.set()


def without_database_and_triton(disk: Path) -> Story:
    """Return the story of a PostgreSQL that hangs and of a Triton that has lost its disk."""

    def story(ward: Ward, is_away: Callable[[], None]) -> None:
        claimed = ward.has_draft()
        ward.act(claimed, "claim")
        with lost_disk(ward.servers, disk):
            planned = _with_job(ward)
            ward.begin()
            with hung(ward.servers, "postgres"):
                is_away()
                ward.spend(AWAY_SECONDS)
            ward.come_back()
            ward.record.seen["at the deadline"] = _draft_without_findings(ward, planned)
            ward.record.seen["after the claim"] = ward.hospital.user().draft(claimed, seconds=CATCH_UP_SECONDS)
            ward.record.seen["without Triton alone"] = _settled_look(ward)
            ward.note("all but the worker ready after PostgreSQL")
        ward.servers.wait_ready("triton", timeout_seconds=CATCH_UP_SECONDS)
        ward.come_back()
        ward.wait_ready("inference_worker")
        ward.note("worker ready after Triton")
        ward.finish([claimed, planned, *_offered(ward)])

    return story


def without_kafka(ward: Ward, is_away: Callable[[], None]) -> None:
    """Tell of a Kafka that hangs: a reader goes on signing; senders are refused, and send again when it is back.

    One study is on its way through the services when it begins: they hang in the midst of a batch and its commit.
    """
    read, in_flow = ward.has_draft(), ward.hospital.admit()
    ward.hospital.order(in_flow)
    ward.hospital.scan(in_flow)
    ward.begin()
    with hung(ward.servers, "kafka"):
        is_away()
        ward.look()
        digest = ward.act(read, "claim")["digest"]
        ward.record.seen["signed"] = ward.act(read, "sign", json={"digest": digest, "verdict": "accepted"})["state"]
        ward.spend(AWAY_SECONDS)
        ward.record.seen["final too early"] = len(ward.hospital.emr.about(read.study_instance_uid, "F"))
    ward.come_back()
    _send_again(ward)
    ward.finish([read, in_flow, *_offered(ward)])


def _send_again(ward: Ward) -> None:
    """Let HIS and scanners send what was refused."""
    for answered in ward.record.orders:
        if not answered.is_kept:
            send_hl7_until_kept(ward.hospital.mllp_port, answered.message, seconds=CATCH_UP_SECONDS)
    refused = [dataset for _, dataset, status in ward.record.images if status != 0]
    for visit in _offered(ward):
        mine = [dataset for dataset in refused if dataset.StudyInstanceUID == visit.study_instance_uid]
        if mine:
            store_until_kept(ward.hospital.dicom_port, mine, seconds=CATCH_UP_SECONDS)


def _offered(ward: Ward) -> list[Visit]:
    return [answered.visit for answered in ward.record.orders]


def _with_job(ward: Ward) -> Visit:
    """Return a visit whose study is planned and whose job waits."""
    visit = ward.hospital.admit()
    ward.hospital.order(visit)
    ward.hospital.scan(visit)

    def has_job() -> bool:
        asked = "SELECT count(*) FROM jobs WHERE requested->>'study_instance_uid' = $1"
        return ward.hospital.count("inference_worker", asked, visit.study_instance_uid) > 0

    wait_until(has_job, "the job", CATCH_UP_SECONDS)
    return visit


def _draft_without_findings(ward: Ward, visit: Visit) -> dict[str, Any]:
    """Return the draft that opened because its time was over."""
    draft = ward.hospital.user().draft(visit, seconds=CATCH_UP_SECONDS)
    ward.hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=CATCH_UP_SECONDS)
    return draft


def _settled_look(ward: Ward) -> dict[str, list[str]]:
    """Return what is still missing, service by service, once only Triton is."""

    def only_triton() -> dict[str, list[str]]:
        failing = {name: sorted(said or {"silent": ""}) for name, said in ward.look().failing.items() if said != {}}
        return failing if set(failing) == {"inference_worker"} else {}

    return wait_until(only_triton, "readiness of all but the worker", CATCH_UP_SECONDS)


@contextmanager
def hung(servers: StackThread, name: str) -> Iterator[None]:
    """Let a server hang inside the block, also what it forked while it was being stopped."""
    with stopped(servers, name), stopped(servers, name):
        yield


@contextmanager
def lost_disk(servers: StackThread, disk: Path) -> Iterator[None]:
    """Let Triton be dead inside the block: it is killed, and no new start of it finds its models."""
    models = disk.readlink()
    disk.unlink()
    servers.kill("triton")
    try:
        yield
    finally:
        disk.symlink_to(models)


def stack_of(data: Path, offset: int, disk: Path, emr: str) -> Stack:
    """Return the stack of a story: Triton's models on a disk that can be lost, deadlines shorter than the absence."""
    profile = Profile(data_dir=data, port_offset=offset, emr=emr, settings=SETTINGS)
    stack: Any = profile.stack(lambda _line: None)
    disk.symlink_to(MODEL_REPOSITORY)
    models, told = _catalogue(disk.parent), stack.environment_of

    def environment_of(spec: ServiceSpec) -> dict[str, str]:
        return {**told(spec), **({"OVERREAD_MODELS_FILE": str(models)} if spec.name == "routing" else {})}

    stack._model_repository, stack.environment_of = disk, environment_of
    return stack  # type: ignore[no-any-return]


def _catalogue(folder: Path) -> Path:
    """Return the shipped catalogue with a deadline that falls into the absence."""
    beside = folder / "catalogue"
    beside.mkdir()
    (beside / MODEL_REPOSITORY.name).symlink_to(MODEL_REPOSITORY)
    shipped = MODELS_FILE.read_text(encoding="utf-8")
    changed = re.sub(r"(?m)^deadline_seconds = \d+", f"deadline_seconds = {DEADLINE_SECONDS}", shipped)
    assert changed != shipped
    (beside / MODELS_FILE.name).write_text(changed, encoding="utf-8")
    return beside / MODELS_FILE.name
