"""A small hospital of its own for a story that goes on beside the other tests: its doors, its services, what was seen."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pynetdicom import AE

from overread.embedded.processes import marked
from overread.embedded.profile import SERVICES
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import SERVERS, Stack
from overread.protocols.hl7.acknowledgement import parse_ack
from overread.runtime.health import readiness_at
from tests.builders.hl7 import an_orm
from tests.e2e.hospital import Hospital, Visit, assert_gone_once, unsigned_finals
from tests.fakes.peers import END, START, Emr, reactor_held, wait_until

ANSWER_SECONDS = 40.0
"""How long a sender waits for an answer: silence beyond it is no answer."""

ALIVE_SECONDS = 15.0
CATCH_UP_SECONDS = 150.0
REST_SECONDS = 5.0
OFFER_EVERY_SECONDS, LOOK_EVERY_SECONDS = 110.0, 55.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Abandoned(Exception):
    """The run ends before the story does."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a sender heard of one order: an empty code when it heard nothing."""

    visit: Visit
    message: bytes
    code: str
    condition: str
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the gateway said that it has the order."""
        return self.code in {"AA", "CA"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What every service said of itself at one moment of the absence."""

    at_seconds: float
    failing: Mapping[str, Mapping[str, str] | None]
    alive: Mapping[str, bool]


@dataclass(kw_only=True)
class Record:
    """What a story keeps for the test that judges it."""

    orders: list[Answered] = field(default_factory=list)
    images: list[tuple[Visit, Dataset, int | None]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)
    started_before: Mapping[str, int] = field(default_factory=dict)
    started_after: Mapping[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_share: float = 0.0
    seen: dict[str, Any] = field(default_factory=dict)

    def figures(self) -> str:
        """Return what was measured, in a line."""
        said = [f"{what} {seconds:.1f} s" for what, seconds in self.seconds.items()]
        slowest = max((answered.seconds for answered in self.orders), default=0.0)
        return ", ".join([*said, f"slowest answer to an order {slowest:.1f} s", f"CPU {self.cpu_share:.0%} of a core"])


@dataclass
class Ward:
    """One hospital, what is offered at its doors, and what was seen of its services."""

    servers: StackThread
    hospital: Hospital
    over: Event
    record: Record = field(default_factory=Record)
    _since: float = 0.0
    _is_away: bool = False

    def has_draft(self) -> Visit:
        """Return a visit whose draft waits for a reader."""
        visit = self.hospital.admit()
        self.hospital.order(visit)
        self.hospital.scan(visit)
        self.hospital.user().draft(visit)
        return visit

    def act(self, visit: Visit, act: str, **content: Any) -> dict[str, Any]:
        """Do one act of a reader upon the visit's report; return the answer."""
        [summary] = self.hospital.user().reports(visit)
        answer = self.hospital.user().ask("POST", f"/reports/{summary['report_id']}/{act}", **content)
        answered: dict[str, Any] = answer.raise_for_status().json()
        return answered

    def offer(self) -> None:
        """Bring a patient: an order, in turn by ORM and OMI, and its images on one association."""
        visit = self.hospital.admit()
        message = visit.order if len(self.record.orders) % 2 else an_orm(**visit.known)
        self.record.orders.append(self._ask(visit, message))
        self.record.images += [(visit, *answer) for answer in self._store(visit.datasets)]

    def _ask(self, visit: Visit, message: bytes) -> Answered:
        began = time.monotonic()
        heard = b""
        at = ("127.0.0.1", self.hospital.mllp_port)
        with suppress(OSError), socket.create_connection(at, timeout=ANSWER_SECONDS) as line:
            line.sendall(START + message + END)
            while END not in heard and (chunk := line.recv(65536)):
                heard += chunk
        told = parse_ack(heard[len(START) : -len(END)]) if heard else None
        return Answered(
            visit=visit,
            message=message,
            code=told.code if told else "",
            condition=told.error_condition if told else "",
            seconds=time.monotonic() - began,
        )

    def _store(self, datasets: Sequence[Dataset]) -> list[tuple[Dataset, int | None]]:
        """Return the status of each instance, None when there was none."""
        scanner = AE(ae_title="CT01")
        scanner.acse_timeout = scanner.dimse_timeout = scanner.network_timeout = ANSWER_SECONDS
        scanner.add_requested_context(datasets[0].SOPClassUID, datasets[0].file_meta.TransferSyntaxUID)
        association = scanner.associate("127.0.0.1", self.hospital.dicom_port, ae_title="OVERREAD")
        if not association.is_established:
            return [(dataset, None) for dataset in datasets]
        with reactor_held(association):
            answers = [(dataset, _status(association, dataset)) for dataset in datasets]
        association.release()
        return answers

    def begin(self) -> None:
        """Note how things stand when the absence begins."""
        self.record.started_before = self._starts()
        self._since, self._is_away = time.monotonic(), True

    def spend(self, seconds: float) -> None:
        """Let the absence last so long, with a small load at the doors and a look at every service now and then."""
        end, used = self._since + seconds, cpu_seconds(self._mark)
        acts: list[tuple[float, Callable[[], object]]]
        acts = [(self._since + at, self.offer) for at in _times(20.0, OFFER_EVERY_SECONDS, seconds - 40.0)]
        acts += [(self._since + at, self.look) for at in _times(15.0, LOOK_EVERY_SECONDS, seconds - 5.0)]
        for at, act in sorted(acts, key=lambda planned: planned[0]):
            self._wait_until(at)
            act()
        self._wait_until(end)
        spent = time.monotonic() - self._since
        self.record.cpu_share = (cpu_seconds(self._mark) - used) / spent
        self.record.seconds["away"] = spent

    def _wait_until(self, moment: float) -> None:
        if self.over.wait(max(0.0, moment - time.monotonic())):
            raise Abandoned

    def look(self) -> Look:
        """Ask every service what it waits for, and whether it lives; keep the answers of the absence."""
        sockets = {name: self.hospital.endpoints.health_socket(name) for name in SERVICES}
        with ThreadPoolExecutor(len(sockets)) as askers:
            failing = dict(zip(sockets, askers.map(readiness_at, sockets.values()), strict=True))
            alive = dict(zip(sockets, askers.map(_lives, sockets.values()), strict=True))
        look = Look(at_seconds=time.monotonic() - self._since, failing=failing, alive=alive)
        if self._is_away:
            self.record.looks.append(look)
        return look

    def come_back(self) -> None:
        """Note that what was away is let back now."""
        self._since, self._is_away = time.monotonic(), False

    def note(self, what: str) -> None:
        """Keep how long after the return this is."""
        self.record.seconds[what] = time.monotonic() - self._since

    def wait_ready(self, *names: str) -> None:
        """Wait until the named services, all by default, wait for nothing."""

        def waiting() -> dict[str, Any]:
            sockets = {name: self.hospital.endpoints.health_socket(name) for name in names or SERVICES}
            return {name: failing for name, at in sockets.items() if (failing := readiness_at(at)) != {}}

        wait_until(lambda: not waiting(), f"readiness of {', '.join(names) or 'all services'}", CATCH_UP_SECONDS)

    def finish(self, visits: Sequence[Visit]) -> None:
        """See every visit drafted with its findings, sign those that wait, and see each at the EMR once."""
        self.wait_ready()
        self.note("all ready after")
        for visit in visits:
            what = f"the draft with findings of {visit.accession_number}"
            wait_until(lambda visit=visit: self._is_read_by_model(visit), what, CATCH_UP_SECONDS)  # type: ignore[misc]
        self.note("all drafted after")
        for visit in visits:
            self.hospital.user().sign(visit, seconds=CATCH_UP_SECONDS)
        for visit in visits:
            self.hospital.final(visit, seconds=CATCH_UP_SECONDS)
        self.note("all final at the EMR after")
        time.sleep(REST_SECONDS)  # what comes a second time has time to come
        for visit in visits:
            assert_gone_once(self.hospital, visit)
        self.record.unsigned = unsigned_finals(self.hospital)
        self.record.set_aside = self.hospital.set_aside(seconds=CATCH_UP_SECONDS)
        self.record.started_after = self._starts()

    def _is_read_by_model(self, visit: Visit) -> bool:
        report = self.hospital.user().report_or_none(visit)
        return report is not None and bool(report["document"]["findings"]) and bool(report["document"]["orders"])

    def _starts(self) -> Mapping[str, int]:
        return {name: self.servers.starts(name) for name in (*SERVERS, *SERVICES)}

    @property
    def _mark(self) -> str:
        return self.hospital.endpoints.data.mark


@contextmanager
def opened(stack: Stack, emr: Emr, over: Event) -> Iterator[Ward]:
    """Yield a ward whose stack runs inside the block."""
    with StackThread(stack) as servers, closing(Hospital(servers.endpoints, emr)) as hospital:
        yield Ward(servers, hospital, over)


def cpu_seconds(mark: str) -> float:
    """Return what the processes of a stack have used of the processors since they began."""
    used = 0.0
    for pid in marked(mark):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
    return used


def _status(association: Any, dataset: Dataset) -> int | None:
    if not association.is_established:
        return None
    status: int | None = association.send_c_store(dataset).get("Status")
    return status


def _times(first: float, step: float, last: float) -> list[float]:
    return [first + step * number for number in range(max(0, int((last - first) / step)) + 1)]


def _lives(socket: Path) -> bool:
    with suppress(httpx.HTTPError, OSError):
        transport = httpx.HTTPTransport(uds=str(socket))
        with httpx.Client(transport=transport, timeout=ALIVE_SECONDS) as client:
            return client.get("http://service/healthz").is_success
    return False
