"""The disk at its watermark: both doors refuse with their protocol's code, keep nothing, and take again with room.

The doors are intakes of their own on the hospital's servers; how much must stay free lies between what is free with a
large file on the disk and what is free without it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from overread.embedded.processes import MARK
from overread.embedded.profile import DICOM_PORT, MLLP_PORT
from overread.runtime.health import readiness_at
from tests.builders.hl7 import an_orm
from tests.e2e.doors import Line, associated
from tests.e2e.hospital import FIRST_OFFSET, Hospital, Visit, free_offset
from tests.fakes.peers import reactor_held, send_hl7_until_kept, store_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

CT = "1.2.840.10008.5.1.4.1.1.2"
BALLAST_BYTES = 2 << 30
START_SECONDS, ROOM_SECONDS = 90.0, 30.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Where the two intakes listen, and the file that fills their disk."""

    mllp_port: int
    dicom_port: int
    ballast: Path


@pytest.fixture
def doors(hospital: Hospital, tmp_path: Path) -> Iterator[Doors]:
    """Yield two intakes whose disk is at its watermark as long as the ballast lies on it."""
    ballast = hospital.endpoints.data.root / "ballast"
    offset = free_offset(FIRST_OFFSET + 3_000 + os.getpid() % 30 * 20)
    try:
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        least = shutil.disk_usage(hospital.endpoints.objects).free + BALLAST_BYTES // 2
        told = {"OVERREAD_PORT_OFFSET": str(offset), "OVERREAD_LEAST_FREE_BYTES": str(least)}
        with ExitStack() as running:
            for intake, log in (("hl7_intake", tmp_path / "h"), ("dicom_intake", tmp_path / "d")):
                running.enter_context(_running(hospital, intake, log, told))
            yield Doors(mllp_port=MLLP_PORT + offset, dicom_port=DICOM_PORT + offset, ballast=ballast)
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def _running(hospital: Hospital, intake: str, log: Path, told: Mapping[str, str]) -> Iterator[None]:
    """Run one intake inside the block; its readiness names the full disk."""
    endpoints, socket = hospital.endpoints, log.with_suffix(".sock")
    mine = {**told, "OVERREAD_HEALTH_SOCKET": str(socket), MARK: endpoints.data.mark}
    with log.open("w") as output:
        process = subprocess.Popen(  # our own service
            [sys.executable, "-c", f"from overread.{intake}.app import main; main()"],
            env={**os.environ, **endpoints.environment_of(intake), **mine},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(_is_full(socket), f"{intake}'s word that the disk is full", START_SECONDS)
        yield
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, log.read_text()[-2_000:]


def _is_full(socket: Path) -> Callable[[], bool]:
    return lambda: list(readiness_at(socket) or {}) == ["object store"]


def _stored(port: int, visit: Visit) -> tuple[int, str]:
    """Send the visit's first image; return the status and its comment (0000,0902)."""
    association = associated(port, CT)
    with reactor_held(association):
        answer = association.send_c_store(visit.datasets[0])
    association.release()
    return int(answer.Status), str(answer.get("ErrorComment", ""))


def _kept(hospital: Hospital, visit: Visit) -> int:
    """Count what there is of a visit: objects, and orders that assembly knows."""
    objects = hospital.endpoints.objects / hospital.endpoints.site_id / "studies" / visit.study_instance_uid
    known = "SELECT count(*) FROM orders WHERE accession_number = $1"
    return sum(1 for _ in objects.rglob("*")) + hospital.count("assembly", known, visit.accession_number)


def test_full_disk_refuses_at_both_doors_and_takes_again_with_room(hospital: Hospital, doors: Doors) -> None:
    """REQ-ACK-06: 0xA700 (PS3.4, B.2.3), error 207 as CE and AR (HL7 v2.5.1, 2.9.2.2); what was refused comes again."""
    visit = hospital.admit()
    with Line(doors.mllp_port) as line:
        enhanced, original = line.ask(visit.order), line.ask(an_orm(**visit.known))
    status, comment = _stored(doors.dicom_port, visit)
    kept = _kept(hospital, visit)

    doors.ballast.unlink()
    send_hl7_until_kept(doors.mllp_port, visit.order, seconds=ROOM_SECONDS)
    store_until_kept(doors.dicom_port, visit.datasets, seconds=ROOM_SECONDS)

    assert [(answer.code, answer.error_condition) for answer in (enhanced, original)] == [("CE", "207"), ("AR", "207")]
    assert "send it again later: the disk is at its watermark" in enhanced.text
    assert (status, comment) == (0xA700, "Storage has no room or is away, send again later")
    assert kept == 0
    assert len(hospital.user().draft(visit)["document"]["orders"]) == 1
    assert hospital.images_shown(visit) == len(visit.datasets)
