"""`overread simulate`: a HIS, RIS or LIS that sends, an EMR or PACS that takes; every patient is made up."""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from time import monotonic

from overread.cli.hl7_send import ControlIds, add_target, said, tls_of
from overread.cli.hospital_messages import MadeUpPatient, adt, laboratory_oru, omi_o23, orm_o01, report_oru
from overread.cli.mllp_line import Line, address, connected
from overread.contracts.errors import OverreadError
from overread.runtime.settings import ServiceSettings

COUNT, RATE = 10, 2.0
PATIENTS = 50
RECEIVERS = ("emr", "pacs")
"""Each has a module `overread.cli.simulate_…`, which is imported when it is called: DICOM's libraries cost seconds."""

EXAMPLES = """\
examples, each in a terminal of its own:
  overread simulate emr --port 2580                        takes results, prints what came
  overread simulate his --to mllp://127.0.0.1:2575         registers patients and orders images, ten messages
  overread simulate lis --to mllp://127.0.0.1:2575         laboratory results of the same patients
  overread simulate ris --to mllp://127.0.0.1:2575 --accession-number ACC0001    a human report of that study
  overread simulate pacs --port 4242                       takes objects by C-STORE

Patient 7 of the HIS is patient 7 of the LIS. All are marked: THỬ NGHIỆM by name, MSH-11 T.
"""

Makes = Callable[[int, str, datetime, argparse.Namespace], str]
"""Writes message number N under its control ID."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its systems."""
    parser = subparsers.add_parser(
        "simulate",
        help="be a HIS, RIS, LIS, EMR or PACS with made-up patients",
        description="Plays one system of a hospital, to try a link before the real one is there.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    systems = parser.add_subparsers(dest="system", required=True, metavar="his|ris|lis|emr|pacs")
    for name, (says, _) in SENDERS.items():
        _add_sender(
            systems.add_parser(name, help=says, description=f"{says[:1].upper()}{says[1:]}; each answer is said.")
        )
    for name in RECEIVERS:
        importlib.import_module(f"overread.cli.simulate_{name}").add_to(systems)


def _add_sender(parser: argparse.ArgumentParser) -> None:
    add_target(parser, is_required=False)
    parser.add_argument("--print", action="store_true", help="print the messages instead of sending them")
    parser.add_argument("--count", type=int, metavar="N", help=f"how many messages (default: {COUNT})")
    parser.add_argument("--seconds", type=float, metavar="S", help="go on for S seconds instead")
    parser.add_argument("--rate", type=float, default=RATE, metavar="R", help=f"messages a second (default: {RATE:g})")
    parser.add_argument(
        "--accession-number", default="", metavar="A", help="of the study that orders or reports are about"
    )
    parser.set_defaults(run=run)


def _his(number: int, control_id: str, now: datetime, told: argparse.Namespace) -> str:
    """Register a patient, order by an OMI and by an older system's ORM, then change the patient."""
    step, of_patient = number % 4, MadeUpPatient(number // 4 % PATIENTS)
    accession_number = told.accession_number or f"S{control_id[-15:]}"
    order = f"ORD{control_id[3:]}"
    modality = ("CT", "MR", "DX")[number // 4 % 3]
    if step in (0, 3):
        return adt(event="A04" if step == 0 else "A08", control_id=control_id, now=now, pid=of_patient.pid)
    if step == 2:
        return orm_o01(
            control_id=control_id,
            now=now,
            control="NW",
            number=order,
            accession_number=accession_number,
            pid=of_patient.pid,
            modality=modality,
        )
    return omi_o23(
        number=control_id[3:],
        now=now,
        accession_number=accession_number,
        study_instance_uid=f"2.25.{int(control_id[3:11], 16)}{number:07d}",
        pid=of_patient.pid,
        modality=modality,
        processing_id="T",
    )


def _lis(number: int, control_id: str, now: datetime, _told: argparse.Namespace) -> str:
    values = (
        ("2160-0", "Creatinine", f"{60 + number * 13 % 140}", "umol/L"),
        ("48065-7", "D-dimer FEU", f"{0.2 + number * 3 % 40 / 10:.1f}", "mg/L"),
        ("1988-5", "C reactive protein", f"{number * 11 % 90}", "mg/L"),
    )
    patient = MadeUpPatient(number % PATIENTS)
    return laboratory_oru(control_id=control_id, now=now, pid=patient.pid, values=values)


def _ris(number: int, control_id: str, now: datetime, told: argparse.Namespace) -> str:
    return report_oru(
        control_id=control_id,
        now=now,
        pid=MadeUpPatient(number % PATIENTS).pid,
        accession_number=told.accession_number or f"S{control_id[-15:]}",
        modality="CT",
        text="Không thấy tổn thương nhu mô phổi. Bóng tim không to.",
    )


SENDERS: dict[str, tuple[str, Makes]] = {
    "his": ("a HIS that registers patients (ADT) and orders images (OMI, ORM)", _his),
    "lis": ("a LIS that sends laboratory results (ORU^R01)", _lis),
    "ris": ("a RIS that sends radiologists' final reports (ORU^R01)", _ris),
}


def run(told: argparse.Namespace) -> int:
    """Send, and say each answer; 1 when a message was not taken."""
    if told.rate <= 0 or (told.count is not None and told.count < 1):
        raise OverreadError("--count and --rate must be above 0")
    if told.print:
        limit = told.count or 1
        sys.stdout.writelines(
            raw.decode().replace("\r", "\n") for raw, _ in zip(_messages(told), range(limit), strict=False)
        )
        return 0
    if not told.to:
        raise OverreadError("name the listener by --to mllp://HOST:PORT, or see the messages by --print")
    return asyncio.run(_send(told))


def _messages(told: argparse.Namespace) -> Iterator[bytes]:
    make, control_ids = SENDERS[told.system][1], ControlIds()
    for number in count():
        now = datetime.now(UTC).astimezone(ServiceSettings().time_zone)
        yield make(number, control_ids(), now, told).encode()


async def _send(told: argparse.Namespace) -> int:
    to = address(told.to)
    async with connected(to, tls=tls_of(told, to), wait_seconds=told.wait) as line:
        sent, taken = await _send_all(told, line)
    sys.stdout.write(f"{taken} of {sent} taken\n")
    return 0 if taken == sent else 1


async def _send_all(told: argparse.Namespace, line: Line) -> tuple[int, int]:
    began, taken = monotonic(), 0
    limit = told.count or (COUNT if told.seconds is None else sys.maxsize)
    for number, raw in enumerate(_messages(told)):
        await asyncio.sleep(max(0.0, began + number / told.rate - monotonic()))
        if number >= limit or (told.seconds is not None and monotonic() - began >= told.seconds):
            return number, taken
        heard = await line.exchange(raw)
        taken += heard.is_taken
        sys.stdout.write(f"{said(raw, heard, has_times=False)}\n")
        sys.stdout.flush()
    return 0, taken
