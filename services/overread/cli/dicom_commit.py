"""`overread dicom commit`: ask whether every image is kept, and wait for the answer (PS3.4, J)."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydicom.dataset import Dataset
from pynetdicom import evt

from overread.cli.dicom_line import LineError, add_line, associated, files_of, status_word
from overread.contracts.identifiers import uid_from
from overread.protocols.dicom.sop_classes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)

_LOOK_SECONDS = 0.1
_REASONS = {0x0112: "is not kept", 0x0119: "is kept as another SOP class"}


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "commit",
        help="ask whether every image is kept (storage commitment)",
        description="Asks for the images among the paths, and waits on the same association for the answer. An image "
        "that is missing has half a minute to come. A peer whose title has an address in OVERREAD_DICOM_PEERS is "
        "answered there, not here.",
    )
    parser.add_argument("path", nargs="+", type=Path, help="files, or folders with files")
    parser.add_argument("--seconds", type=float, default=45.0, metavar="N", help="how long to wait (default: 45)")
    add_line(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Ask, wait, and print what is not kept."""
    files = files_of(told.path)
    reports: list[Dataset] = []
    handlers = [(evt.EVT_N_EVENT_REPORT, _note, [reports])]
    syntaxes = [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]
    with associated(told, [(STORAGE_COMMITMENT_PUSH_MODEL, syntaxes)], handlers) as association:
        status, _ = association.send_n_action(
            _request([data_set for _, data_set in files]),
            1,
            STORAGE_COMMITMENT_PUSH_MODEL,
            STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        )
        if status.get("Status") != 0x0000:
            raise LineError(status_word(status))
        report = _awaited(reports, told.seconds)
    failed = report.get("FailedSOPSequence") or []
    for one in failed:
        sys.stdout.write(f"{one.ReferencedSOPInstanceUID} {_REASONS.get(one.FailureReason, hex(one.FailureReason))}\n")
    sys.stdout.write(f"{len(files) - len(failed)} of {len(files)} are kept\n")
    return 1 if failed else 0


def _note(event: Any, reports: list[Dataset]) -> tuple[int, None]:
    reports.append(event.event_information)
    return 0x0000, None


def _awaited(reports: list[Dataset], seconds: float) -> Dataset:
    ends_at = time.monotonic() + seconds
    while not reports:
        if time.monotonic() > ends_at:
            raise LineError(f"no answer within {seconds:g} seconds; it was accepted, so ask again later")
        time.sleep(_LOOK_SECONDS)
    return reports[0]


def _request(files: list[Any]) -> Dataset:
    request = Dataset()
    request.TransactionUID = uid_from(uuid4())
    request.ReferencedSOPSequence = [_reference(data_set) for data_set in files]
    return request


def _reference(data_set: Any) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = data_set.SOPClassUID
    reference.ReferencedSOPInstanceUID = data_set.SOPInstanceUID
    return reference
