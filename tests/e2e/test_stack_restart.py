"""`./run up` as an operator has it: without power in mid-flow and started again on its disk, asked, and stopped.

Where this machine can't give it a disk of its own (see `tests.e2e.disk`), its processes are killed instead.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from overread.embedded.endpoints import Endpoints
from overread.embedded.places import DataFolder
from overread.embedded.processes import end_leftovers, marked
from overread.embedded.profile import SERVICES
from tests.builders.hl7 import NAME
from tests.e2e.disk import Disk, a_disk_or_folder
from tests.e2e.hospital import (
    FIRST_OFFSET,
    OVERREAD,
    Hospital,
    Visit,
    a_visit,
    assert_gone_once,
    first_password,
    free_offset,
    unsigned_finals,
)
from tests.e2e.scanning import named_in, number_of_all, studies_in
from tests.fakes.peers import Emr, send_hl7, store_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

READY_SECONDS, STOP_SECONDS = 150.0, 15.0
SCANNED_BEFORE, ORDERED_BEFORE = 20, 5


@dataclass
class Up:
    """One `overread up` in a process of its own."""

    data: Path
    emr: str
    offset: int
    said: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait for its `ready`."""
        self.said.clear()
        words = [*OVERREAD, "up", "--data", str(self.data), "--emr", self.emr]
        environment = {**os.environ, "OVERREAD_PORT_OFFSET": str(self.offset)}
        with self.log.open("a") as log:
            self._process = subprocess.Popen(  # our own command line
                words, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        threading.Thread(target=self._listen, daemon=True).start()
        wait_until(lambda: self.said or self.has_ended(), "the first word", READY_SECONDS)
        assert self.said, self.log.read_text()[-2_000:] + self._word_of_kafka()
        return self

    def _word_of_kafka(self) -> str:
        kept = self.data / "logs" / "kafka.log"
        return kept.read_text(errors="replace")[-6_000:] if kept.exists() else ""

    @property
    def log(self) -> Path:
        """Return what the supervisor says, kept off the disk that loses its power."""
        return self.data.parent.parent / "up.log"

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.said.append(line)

    @property
    def process(self) -> subprocess.Popen[str]:
        """Return the supervisor's process."""
        if self._process is None:
            raise RuntimeError("it has not been started")
        return self._process

    def has_ended(self) -> bool:
        """Say whether it has ended."""
        return self.process.poll() is not None

    def end(self, how: signal.Signals) -> int:
        """End the supervisor, and return its status."""
        self.process.send_signal(how)
        return self.process.wait(60)

    @property
    def left(self) -> list[int]:
        """Return the processes of the stack that still run."""
        return marked(Endpoints.of(self.data).data.mark)


@dataclass
class House:
    """A stack that was killed and started again, with what was on its way then."""

    up: Up
    hospital: Hospital
    final: Visit
    drafted: Visit
    acknowledged: Visit
    ordered: Visit
    told_before: list[bytes]
    orders_kept: list[str]
    images_kept: list[str]
    disk: Disk | None
    has_forgotten: bool


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a stack after a power cut: one visit was final, one drafted, one just kept, one only ordered."""
    disk, folder = a_disk_or_folder(tmp_path_factory.mktemp("up"))
    data = folder / "data"
    with Emr() as emr:
        up = Up(data, emr.url, free_offset(FIRST_OFFSET + 4_000 + os.getpid() % 100 * 20))
        try:
            up.start()
            with closing(Hospital(Endpoints.of(data), emr)) as hospital:
                yield _cut_and_started_again(up, hospital, disk)
        finally:
            if not up.has_ended():
                up.end(signal.SIGTERM)
            end_leftovers(DataFolder(data).mark)
            if disk is not None:
                disk.leave()


def _cut_and_started_again(up: Up, hospital: Hospital, disk: Disk | None) -> House:
    final, drafted, acknowledged, ordered = (hospital.admit() for _ in range(4))
    for visit in (final, drafted):
        hospital.order(visit)
        hospital.scan(visit)
    hospital.user().sign(final)
    hospital.final(final)
    hospital.user().draft(drafted)
    hospital.emr.wait_for(drafted.study_instance_uid, "R", seconds=30)
    told_before = [message.raw for message in hospital.emr.received]
    hospital.order(ordered)
    hospital.order(acknowledged)
    orders_kept: list[str] = []
    images_kept: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as senders:
        ordering = senders.submit(_order_until_refused, hospital, orders_kept)
        wait_until(lambda: len(orders_kept) >= ORDERED_BEFORE, "orders in mid-flow", 30)
        scanning = senders.submit(_scan, hospital, acknowledged, images_kept)
        wait_until(lambda: len(images_kept) >= SCANNED_BEFORE, "images in mid-flow", 30)
        has_forgotten = _power_cut(up, disk)
        up.start()
        ordering.result()
        scanning.result()
    return House(
        up, hospital, final, drafted, acknowledged, ordered, told_before, orders_kept, images_kept, disk, has_forgotten
    )


def _order_until_refused(hospital: Hospital, kept: list[str]) -> None:
    """Send orders that nobody comes for, one after the other, until the line breaks; note each that was accepted."""
    while True:
        visit = a_visit()
        try:
            if send_hl7(hospital.mllp_port, visit.order) not in {"AA", "CA"}:
                return
        except OSError:
            return
        kept.append(visit.accession_number)


def _scan(hospital: Hospital, visit: Visit, kept: list[str]) -> None:
    """Send the visit's images until each is kept, before the cut or after it, and none that was kept again."""
    store_until_kept(
        hospital.dicom_port, visit.datasets, seconds=2 * READY_SECONDS, on_kept=lambda d: kept.append(d.SOPInstanceUID)
    )


def _power_cut(up: Up, disk: Disk | None) -> bool:
    """Take the disk away from under everybody, end what ran, and mount it again; say whether it forgot anything."""
    mark = DataFolder(up.data).mark
    if disk is not None:
        disk.cut()
    left = marked(mark)
    up.end(signal.SIGKILL)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not marked(mark), "the end of all", 30)
    return disk is not None and disk.come_back()


def test_disk_forgot_what_nobody_had_synced(house: House) -> None:
    """A power cut that loses nothing proves nothing."""
    if house.disk is None:
        pytest.skip("a disk that can lose its power needs root, a loop device and mkfs.ext4")

    assert house.has_forgotten


def test_each_order_that_was_acknowledged_before_the_cut_is_there_after_it(house: House) -> None:
    """Promise 1: AA and CA leave only when the broker has flushed the message to the disk."""
    question = "SELECT count(*) FROM orders WHERE accession_number = ANY(string_to_array($1, ','))"
    numbers = ",".join(house.orders_kept)

    assert len(house.orders_kept) >= ORDERED_BEFORE
    wait_until(lambda: house.hospital.count("assembly", question, numbers) == len(house.orders_kept), "every order", 30)


def test_what_was_acknowledged_before_the_cut_becomes_final_after_it(house: House) -> None:
    """Promises 1 and 4 for the whole machine: nothing is lost, nothing comes twice."""
    hospital = house.hospital
    hospital.scan(house.ordered)

    for visit in (house.drafted, house.acknowledged, house.ordered):
        hospital.user().sign(visit)
        hospital.final(visit)

    assert sorted(house.images_kept) == sorted(dataset.SOPInstanceUID for dataset in house.acknowledged.datasets)
    for visit in hospital.visits:
        assert_gone_once(hospital, visit)
    assert not unsigned_finals(hospital)
    sent_again = [message.raw for message in hospital.emr.received[len(house.told_before) :]]
    assert not set(house.told_before) & set(sent_again)


def test_ready_stands_alone_on_standard_output(house: House) -> None:
    """Scripts wait for one line; progress goes to standard error."""
    assert house.up.said == ["ready\n"]


def test_status_says_that_every_service_is_ready(house: House) -> None:
    """One JSON object; exit 0 when nothing is failing."""
    answer = house.hospital.overread("status", "--json", "--data", str(house.up.data))

    assert (answer.returncode, json.loads(answer.stdout)) == (0, {name: {} for name in SERVICES})


def test_token_is_given_for_the_first_password_alone(house: House) -> None:
    """The password comes from the environment; a wrong one is one sentence."""
    password = first_password(house.up.data, "radiologist")

    right = house.hospital.overread("token", "--user", "radiologist", OVERREAD_PASSWORD=password)
    wrong = house.hospital.overread("token", "--user", "radiologist", OVERREAD_PASSWORD="not this one")

    answer = house.hospital.user().ask("GET", "/reports", token=right.stdout.strip())
    assert (right.returncode, answer.status_code) == (0, 200)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "Traceback" not in wrong.stderr


def test_reports_are_listed_and_shown(house: House) -> None:
    """A line each with its state, or one whole."""
    password = first_password(house.up.data, "radiologist")
    accession_number = house.final.accession_number

    listed = house.hospital.overread("reports", "--accession", accession_number, OVERREAD_PASSWORD=password)
    report_id, state = listed.stdout.split()[:2]
    shown = house.hospital.overread("reports", report_id, OVERREAD_PASSWORD=password)

    assert (listed.returncode, state, len(listed.stdout.splitlines())) == (0, "final", 1)
    assert json.loads(shown.stdout)["study_instance_uid"] == house.final.study_instance_uid


def test_nothing_was_set_aside_on_the_way(house: House) -> None:
    """A kill is no reason for a dead letter."""
    answer = house.hospital.overread("dead", "list", "--data", str(house.up.data))

    assert (answer.returncode, answer.stdout) == (0, "")


def test_what_up_says_itself_names_nobody(house: House) -> None:
    """Promise 5: its own standard error too, with a power cut and a second start in it."""
    said = {"up": house.up.log.read_bytes()}

    assert b"services healthy" in said["up"]
    assert named_in(said, [number_of_all(house.hospital.visits), *NAME.split("^")]) == []
    assert studies_in(said, house.hospital.visits) == []


def test_second_stack_on_the_same_data_is_refused(house: House) -> None:
    """Two stacks never share a folder."""
    answer = house.hospital.overread("up", "--data", str(house.up.data))

    assert (answer.returncode, answer.stdout) == (1, "")
    assert "another stack runs on" in answer.stderr


def test_stop_is_clean_and_quick(house: House) -> None:
    """SIGTERM ends everything in order; after it nobody answers, and nothing is left running."""
    began = time.monotonic()

    status = house.up.end(signal.SIGTERM)

    took = time.monotonic() - began
    answer = house.hospital.overread("status", "--json", "--data", str(house.up.data))
    assert (status, house.up.left, answer.returncode) == (0, [], 1)
    assert took < STOP_SECONDS
