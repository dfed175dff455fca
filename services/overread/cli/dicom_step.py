"""`overread dicom step`: begin and end a performed procedure step as a modality does (PS3.4, F.7)."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from pydicom.dataset import Dataset, FileDataset

from overread.cli.dicom_line import LineError, add_line, associated, files_of, status_word
from overread.contracts.identifiers import uid_from
from overread.protocols.dicom.sop_classes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MODALITY_PERFORMED_PROCEDURE_STEP,
)

_CONTEXTS = [(MODALITY_PERFORMED_PROCEDURE_STEP, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])]


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "step",
        help="begin a procedure step (MPPS), or end it with the list of its images",
        description="A step that goes on holds its study together; its end lists what there is.",
    )
    acts = parser.add_subparsers(dest="act", required=True, metavar="begin|end")
    begin = acts.add_parser("begin", help="N-CREATE: prints the step's UID")
    begin.add_argument("--study", required=True, metavar="UID", help="the StudyInstanceUID, as the worklist told it")
    begin.add_argument("--accession", default="", metavar="NUMBER")
    begin.add_argument("--modality", default="CT", metavar="CT")
    add_line(begin)
    begin.set_defaults(run=run_begin)
    end = acts.add_parser("end", help="N-SET: the step is completed, and these are its images")
    end.add_argument("step", metavar="UID", help="as `begin` printed it")
    end.add_argument("path", nargs="*", type=Path, help="the images: files, or folders with files")
    end.add_argument("--discontinued", action="store_true", help="it was given up")
    add_line(end)
    end.set_defaults(run=run_end)


def run_begin(told: argparse.Namespace) -> int:
    """Begin a step."""
    uid = uid_from(uuid4())
    with associated(told, _CONTEXTS) as association:
        status, _ = association.send_n_create(_begun(told), MODALITY_PERFORMED_PROCEDURE_STEP, uid)
    if status.get("Status") != 0x0000:
        raise LineError(status_word(status))
    sys.stdout.write(f"{uid}\n")
    return 0


def run_end(told: argparse.Namespace) -> int:
    """End a step."""
    files = [data_set for _, data_set in files_of(told.path)] if told.path else []
    with associated(told, _CONTEXTS) as association:
        status, _ = association.send_n_set(
            _ended(files, is_completed=not told.discontinued), MODALITY_PERFORMED_PROCEDURE_STEP, told.step
        )
    if status.get("Status") != 0x0000:
        raise LineError(status_word(status))
    sys.stdout.write(f"{'discontinued' if told.discontinued else 'completed'}, {len(files)} images listed\n")
    return 0


def _begun(told: argparse.Namespace) -> Dataset:
    scheduled, step = Dataset(), Dataset()
    scheduled.StudyInstanceUID = told.study
    scheduled.AccessionNumber = told.accession
    step.Modality = told.modality
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PerformedProcedureStepID = "TOOL"
    step.PerformedStationAETitle = told.calling
    step.PerformedProcedureStepStartDate = time.strftime("%Y%m%d")
    step.PerformedProcedureStepStartTime = time.strftime("%H%M%S")
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedSeriesSequence = []
    return step


def _ended(files: Sequence[FileDataset], *, is_completed: bool) -> Dataset:
    by_series: dict[str, list[Dataset]] = {}
    for data_set in files:
        image = Dataset()
        image.ReferencedSOPClassUID = data_set.SOPClassUID
        image.ReferencedSOPInstanceUID = data_set.SOPInstanceUID
        by_series.setdefault(str(data_set.SeriesInstanceUID), []).append(image)
    step = Dataset()
    step.PerformedProcedureStepStatus = "COMPLETED" if is_completed else "DISCONTINUED"
    step.PerformedProcedureStepEndDate = time.strftime("%Y%m%d")
    step.PerformedProcedureStepEndTime = time.strftime("%H%M%S")
    step.PerformedSeriesSequence = [_series(uid, images) for uid, images in by_series.items()]
    return step


def _series(series_instance_uid: str, images: list[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = series_instance_uid
    series.ReferencedImageSequence = images
    return series
