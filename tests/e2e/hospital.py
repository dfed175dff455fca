"""A whole hospital for end-to-end stories: the stack with all its services, and everybody who speaks with it."""

import asyncio
import copy
import errno
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import asyncpg
import httpx
from pydantic import SecretStr
from pydicom.dataset import Dataset
from pydicom.uid import UID

from overread.embedded.endpoints import Endpoints
from overread.embedded.phantom import Phantom, PhantomStudy, SyntheticPatient, make_phantom
from overread.embedded.places import MOST_PORT_OFFSET, Ports
from overread.embedded.profile import DICOM_PORT, HTTP_PORT, MLLP_PORT, first_passwords
from overread.runtime.publisher import KafkaPublisher, Outgoing
from overread.runtime.settings import ServiceSettings
from tests.builders.hl7 import HANOI, NAME, an_omi
from tests.fakes.peers import Emr, Received, send_hl7_until_kept, store_until_kept, wait_until

OVERREAD = (sys.executable, "-m", "overread.cli.app")
FIRST_OFFSET = 6_000
TOKEN_SECONDS = 600.0
SLICES, SIZE = 60, 64
BIRTH_DATE = date(1999, 5, 12)  # what the orders of tests.builders.hl7 say
AUTHORITY = "BVX"
SIGNED_STATUSES = frozenset({"F", "C"})
OPEN_STATES = frozenset({"drafted", "in_review", "rejected"})
GONE_SECONDS = 90.0
TAKEN_SECONDS = 1.0

RUN = "".join(chr(ord("G") + int(digit, 16)) for digit in uuid4().hex[:8])
"""Every number of every visit of this run holds these letters; no hexadecimal digest or id does."""

_numbers = count(1)


@dataclass(frozen=True, kw_only=True, repr=False)
class Visit:
    """One patient's examination: an order, and the images that answer it."""

    number: str
    patient_id: str
    study_instance_uid: str
    datasets: Sequence[Dataset]

    @property
    def accession_number(self) -> str:
        """Return the number that order and images share (SH: 16 characters)."""
        return f"A{self.number}"

    @property
    def placer_order_number(self) -> str:
        """Return the order's number at the HIS."""
        return f"ORD{self.number}"

    @property
    def known(self) -> dict[str, Any]:
        """Return what the builders of orders are told."""
        return {
            "control_id": f"HIS{self.number}",
            "placer": f"{self.placer_order_number}^HIS",
            "accession": self.accession_number,
            "study": self.study_instance_uid,
            "patient_id": f"{self.patient_id}^^^{AUTHORITY}^MR",
            "processing_id": "T",
        }

    @property
    def order(self) -> bytes:
        """Return its order, an OMI^O23 that says that it is a test."""
        return an_omi(**self.known)


def a_visit(kernel: str = "STANDARD") -> Visit:
    """Return an examination that nobody else has: a small phantom of the chest under an identity of its own."""
    number = f"{RUN}{next(_numbers):04d}"
    uid = f"2.25.{uuid4().int}"
    visit = Visit(number=number, patient_id=f"BN{number}", study_instance_uid=uid, datasets=copy.deepcopy(_images()))
    for slice_number, dataset in enumerate(visit.datasets, start=1):
        dataset.PatientID = visit.patient_id
        dataset.AccessionNumber = visit.accession_number
        dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = uid
        dataset.SeriesInstanceUID = f"{uid}.1"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1.{slice_number}")
        dataset.ConvolutionKernel = kernel
    return visit


@cache
def _phantom() -> Phantom:
    patient = SyntheticPatient(
        patient_id="-", patient_name=NAME, birth_date=BIRTH_DATE, sex="M", age_years=27, issuer_of_patient_id=AUTHORITY
    )
    taken = datetime.now(HANOI).replace(microsecond=0) - timedelta(minutes=5)
    study = PhantomStudy(
        study_instance_uid="2.25.1", series_instance_uid="2.25.2", accession_number="-", acquired_at=taken
    )
    return make_phantom(patient=patient, study=study, slices=SLICES, size=SIZE)


def _images() -> list[Dataset]:
    return list(_phantom().datasets)


def lung_volume_ml() -> float:
    """Return the true lung volume of every visit's phantom."""
    return _phantom().truth.lung_volume_ml


@dataclass(repr=False)
class Clinician:
    """A user of the API over HTTP, signed in by password."""

    url: str
    username: str
    password: str
    _token: tuple[str, float] = ("", 0.0)

    def __post_init__(self) -> None:
        """Open one client: making one costs more than what is asked with it."""
        self._client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=15, trust_env=False)

    def ask(self, method: str, path: str, *, token: str | None = None, **content: Any) -> httpx.Response:
        """Return the answer to one request."""
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        return self._client.request(method, path, headers=headers, **content)

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def token(self) -> str:
        """Return an access token, renewed well before a signature would ask for it."""
        if time.monotonic() - self._token[1] > TOKEN_SECONDS or not self._token[0]:
            form = {"grant_type": "password", "username": self.username, "password": self.password}
            answer = self._client.post(f"{self.url}/issuer/token", data=form).raise_for_status()
            self._token = (answer.json()["access_token"], time.monotonic())
        return self._token[0]

    def reports(self, visit: Visit) -> list[dict[str, Any]]:
        """Return the summaries of the visit's reports."""
        return self._items("/reports", visit)

    def cases(self, visit: Visit) -> list[dict[str, Any]]:
        """Return the visit's cases."""
        return self._items("/cases", visit)

    def _items(self, path: str, visit: Visit) -> list[dict[str, Any]]:
        answer = self.ask("GET", path, params={"study_instance_uid": visit.study_instance_uid}).raise_for_status()
        return cast("list[dict[str, Any]]", answer.json()["items"])

    def report(self, visit: Visit) -> dict[str, Any] | None:
        """Return the visit's one report whole, None while there is none."""
        found = self.reports(visit)
        if not found:
            return None
        answer = self.ask("GET", f"/reports/{found[0]['report_id']}").raise_for_status()
        return cast("dict[str, Any]", answer.json())

    def draft(self, visit: Visit, *, has_order: bool = True, seconds: float = GONE_SECONDS) -> dict[str, Any]:
        """Wait for a draft, by default one that knows its order."""

        def look() -> dict[str, Any] | None:
            report = self.report_or_none(visit)
            is_draft = report is not None and report["state"] == "drafted"
            return report if report and is_draft and bool(report["document"]["orders"]) == has_order else None

        return cast("dict[str, Any]", wait_until(look, f"the draft of {visit.accession_number}", seconds))

    def report_or_none(self, visit: Visit) -> dict[str, Any] | None:
        """Return the report; None also while the API is away."""
        try:
            return self.report(visit)
        except httpx.HTTPError:
            return None

    def sign(
        self,
        visit: Visit,
        *,
        has_order: bool = True,
        has_findings: bool = True,
        seconds: float = GONE_SECONDS,
        on_asked: Callable[[float], None] = lambda _at: None,
    ) -> None:
        """Claim and sign the draft, again and again while the API is away or the draft moves on.

        A draft that does not show what the clinician waits for, the order or the numbers, is left alone. `on_asked`
        hears of the moment (monotonic) before each try.
        """

        def is_signed() -> bool:
            report = self.report_or_none(visit)
            if report is None or report["state"] not in OPEN_STATES:
                return report is not None
            shown = (bool(report["document"]["orders"]), bool(report["document"]["findings"]))
            if shown == (has_order, has_findings):
                on_asked(time.monotonic())
                self._claim_and_sign(str(report["report_id"]))
            return False

        wait_until(is_signed, f"the signature of {visit.accession_number}", seconds)

    def _claim_and_sign(self, report_id: str) -> None:
        try:
            claimed = self.ask("POST", f"/reports/{report_id}/claim")
            if claimed.is_success:
                body = {"digest": claimed.json()["digest"], "verdict": "accepted"}
                self.ask("POST", f"/reports/{report_id}/sign", json=body)
        except httpx.HTTPError:
            return


@dataclass(repr=False)
class Hospital:
    """A running stack, its peers, and what every story ends with."""

    endpoints: Endpoints
    emr: Emr
    visits: list[Visit] = field(default_factory=list)
    _clinicians: dict[str, Clinician] = field(default_factory=dict)

    @property
    def mllp_port(self) -> int:
        """Return where orders go."""
        return MLLP_PORT + self.endpoints.ports.offset

    @property
    def dicom_port(self) -> int:
        """Return where images go."""
        return DICOM_PORT + self.endpoints.ports.offset

    def user(self, username: str = "radiologist") -> Clinician:
        """Return a signed-in user."""
        if username not in self._clinicians:
            self._clinicians[username] = a_clinician(self.endpoints.data.root, self.endpoints.ports.offset, username)
        return self._clinicians[username]

    def admit(self, kernel: str = "STANDARD") -> Visit:
        """Return a new visit, which is looked at once more when all stories are told."""
        visit = a_visit(kernel)
        self.visits.append(visit)
        return visit

    def order(self, visit: Visit, message: bytes | None = None) -> None:
        """Send the visit's order until it is kept."""
        send_hl7_until_kept(self.mllp_port, message or visit.order)

    def scan(self, visit: Visit) -> None:
        """Send the visit's images until each is kept."""
        store_until_kept(self.dicom_port, visit.datasets)

    def final(self, visit: Visit, *, seconds: float = GONE_SECONDS) -> Received:
        """Wait until the EMR has the final result and the report says that it was acknowledged."""
        final = self.emr.wait_for(visit.study_instance_uid, "F", seconds=seconds)
        wait_until(lambda: self._is_acknowledged(visit), f"word of the delivery of {visit.accession_number}", seconds)
        return final

    def _is_acknowledged(self, visit: Visit) -> bool:
        report = self.user().report_or_none(visit)
        if report is None or report["state"] != "final":
            return False
        return any((sent["status"], sent["outcome"]) == ("F", "acknowledged") for sent in report["deliveries"])

    def images_shown(self, visit: Visit) -> int:
        """Return how many images of the visit a reader is shown, 0 without a case or a complete study."""
        cases = self.user().cases(visit)
        study = cases[0]["case"]["study"] if len(cases) == 1 else None
        return int(study["instance_count"]) if study else 0

    def set_aside(self, *, seconds: float = 60) -> list[str]:
        """Return what an operator is shown as set aside or given up, a line each."""
        data = str(self.endpoints.data.root)
        told = [self.overread(what, "list", "--data", data, seconds=seconds) for what in ("dead", "deliveries")]
        for answer in told:
            assert answer.returncode == 0, answer.stderr
        return [line for answer in told for line in answer.stdout.splitlines()]

    def close(self) -> None:
        """Let everybody leave."""
        for clinician in self._clinicians.values():
            clinician.close()

    def count(self, schema: str, question: str, *words: str) -> int:
        """Return the number that a service's own tables answer."""
        return asyncio.run(_asked(self.endpoints.dsn(schema), question, words))

    def row(self, schema: str, question: str, *words: str) -> Mapping[str, Any]:
        """Return the one row that a service's own tables answer."""
        return asyncio.run(_row(self.endpoints.dsn(schema), question, words))

    def execute(self, role: str, statement: str, *words: str) -> None:
        """Run a statement as one of the database's roles; raise what the database raises."""
        asyncio.run(_executed(self.endpoints.dsn(role), statement, words))

    def overread(self, *words: str, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line against this stack."""
        told = {"OVERREAD_PORT_OFFSET": str(self.endpoints.ports.offset), **environment}
        return subprocess.run(  # our own command line
            [*OVERREAD, *words],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def publish(self, kafka_user: str, record: Outgoing) -> None:
        """Write a record to the broker as one of its users; raise `Unavailable` when that user must not."""
        asyncio.run(_published(self.kafka_settings(kafka_user), record))

    def kafka_settings(self, kafka_user: str) -> ServiceSettings:
        """Return how one of the broker's users reaches it."""
        return ServiceSettings(
            kafka_bootstrap=self.endpoints.kafka_bootstrap,
            kafka_username=kafka_user,
            kafka_password=SecretStr(self.endpoints.kafka_password(kafka_user)),
        )


async def _published(settings: ServiceSettings, record: Outgoing) -> None:
    publisher = KafkaPublisher(settings)
    await publisher.start()
    try:
        await publisher.publish([record])
    finally:
        await publisher.stop()


async def _asked(dsn: str, question: str, words: Sequence[str]) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(question, *words))
    finally:
        await connection.close()


async def _row(dsn: str, question: str, words: Sequence[str]) -> Mapping[str, Any]:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchrow(question, *words)
    finally:
        await connection.close()
    assert found is not None, question
    return dict(found)


async def _executed(dsn: str, statement: str, words: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *words)
    finally:
        await connection.close()


def a_clinician(data: Path, offset: int, username: str) -> Clinician:
    """Return a user of the stack on `data`, with the password made at first start."""
    return Clinician(f"http://127.0.0.1:{HTTP_PORT + offset}", username, first_password(data, username))


def first_password(data: Path, username: str) -> str:
    """Return the password made at first start."""
    lines = first_passwords(data).read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)[username]


def assert_gone_once(hospital: Hospital, visit: Visit, *, orders: int = 1) -> None:
    """Fail unless all that was acknowledged of a signed visit became one order, one case, one report and one final."""
    clinician = hospital.user()
    name = visit.accession_number
    [case] = clinician.cases(visit)
    [report] = clinician.reports(visit)
    assert case["case"]["study"]["instance_count"] == len(visit.datasets), name
    assert report["state"] == "final", (name, report["reason"])
    known = "SELECT count(*) FROM orders WHERE accession_number = $1"
    assert hospital.count("assembly", known, name) == orders, name
    jobs = "SELECT count(*) - count(DISTINCT study_revision) FROM jobs WHERE case_id = $1::text::uuid"
    assert hospital.count("inference_worker", jobs, str(case["case_id"])) == 0, name
    assert_told_once(hospital.emr, visit)


def assert_told_once(emr: Emr, visit: Visit) -> None:
    """Fail unless the EMR heard of one final, after what was unverified, each resend byte for byte the first."""
    told = emr.about(visit.study_instance_uid)
    bodies = {(message.control_id, message.raw) for message in told}
    repeated = [control_id for control_id, n in Counter(c for c, _ in bodies).items() if n > 1]
    assert not repeated, f"{visit.accession_number}: a resend of {repeated} differs from the first"
    assert len({message.control_id for message in told if message.status in SIGNED_STATUSES}) == 1, (
        visit.accession_number
    )
    in_order = [message.status for message in told]
    assert in_order == sorted(in_order, key="RF".index), f"{visit.accession_number} was told as {in_order}"


def unsigned_finals(hospital: Hospital) -> list[str]:
    """Return the control ID of each final or corrected result at the EMR that came without, or before, a signature."""
    clinician, by_study = hospital.user(), {visit.study_instance_uid: visit for visit in hospital.visits}
    finals = [message for message in hospital.emr.received if message.status in SIGNED_STATUSES]
    found = []
    for message in finals:
        visit = by_study.get(message.study_instance_uid)
        report = clinician.report(visit) if visit else None
        if report is None or report["signature"] is None or not _was_signed_before(report, message):
            found.append(message.control_id)
    return found


def _was_signed_before(report: Mapping[str, Any], message: Received) -> bool:
    signed_at = datetime.fromisoformat(report["signature"]["signed_at"])
    ago = time.monotonic() - message.at
    signer = message.field("OBR", 32).split("&")[0]
    return signer == report["signature"]["subject"] and signed_at <= datetime.now(HANOI) - timedelta(seconds=ago)


def free_offset(first: int = FIRST_OFFSET) -> int:
    """Return a port offset at which nobody listens."""
    for offset in range(first, MOST_PORT_OFFSET, 20):
        bare = (MLLP_PORT, DICOM_PORT, HTTP_PORT)
        ports = [*Ports(offset=offset).named().values(), *(port + offset for port in bare)]
        if not any(_is_taken(port) for port in ports):
            return offset
    raise OSError("no free ports for a stack")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(TAKEN_SECONDS)  # who hangs, and lets nobody in, has the port all the same
        return probe.connect_ex(("127.0.0.1", port)) != errno.ECONNREFUSED
