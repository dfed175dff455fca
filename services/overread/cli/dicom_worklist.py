"""`overread dicom worklist`: what a modality would find (PS3.4, K)."""

import argparse
import sys
from datetime import date, datetime

from pydicom.dataset import Dataset

from overread.cli.dicom_line import LineError, add_line, associated, status_word
from overread.protocols.dicom.sop_classes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MODALITY_WORKLIST_FIND,
)

_ASKED = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureDescription")


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "worklist",
        help="ask the worklist as a modality does",
        description="Prints what is scheduled, a line each; patients are hidden unless --show-patients is given.",
    )
    parser.add_argument("--modality", default="", metavar="CT", help="of this modality (default: of all)")
    parser.add_argument("--date", default="today", metavar="YYYY-MM-DD", help="of this day, or 'all' (default: today)")
    parser.add_argument("--accession", default="", metavar="NUMBER", help="of this accession number")
    parser.add_argument("--show-patients", action="store_true", help="print names and record numbers too")
    add_line(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Ask once, and print what comes."""
    syntaxes = [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]
    with associated(told, [(MODALITY_WORKLIST_FIND, syntaxes)]) as association:
        answers = list(association.send_c_find(_keys(told), MODALITY_WORKLIST_FIND))
    items = [item for _, item in answers if item is not None]
    for item in items:
        sys.stdout.write(_line(item, shows_patients=told.show_patients) + "\n")
    end = answers[-1][0]
    if end.get("Status") != 0x0000:
        raise LineError(status_word(end))
    if not items:
        sys.stderr.write(
            "nothing is scheduled; an order needs an accession number or a StudyInstanceUID to be listed\n"
        )
    return 0


def _keys(told: argparse.Namespace) -> Dataset:
    step, keys = Dataset(), Dataset()
    step.Modality = told.modality
    step.ScheduledStationAETitle = ""
    step.ScheduledProcedureStepStartDate = _day(told.date)
    step.ScheduledProcedureStepStartTime = ""
    keys.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _ASKED:
        setattr(keys, keyword, "")
    keys.AccessionNumber = told.accession
    keys.ScheduledProcedureStepSequence = [step]
    return keys


def _day(text: str) -> str:
    if text == "all":
        return ""
    try:
        return f"{date.today() if text == 'today' else date.fromisoformat(text):%Y%m%d}"  # noqa: DTZ011 - the day here
    except ValueError as error:
        raise LineError(f"{text!r} is no day: write YYYY-MM-DD, today or all") from error


def _line(item: Dataset, *, shows_patients: bool) -> str:
    step = item.ScheduledProcedureStepSequence[0]
    at = datetime.strptime(  # noqa: DTZ007 - the hospital's time, as it is told
        f"{step.ScheduledProcedureStepStartDate}{step.ScheduledProcedureStepStartTime or '000000'}"[:14], "%Y%m%d%H%M%S"
    )
    patient = f"  {item.PatientID}  {item.PatientName}" if shows_patients else ""
    return (
        f"{at:%Y-%m-%d %H:%M}  {step.Modality}  {item.AccessionNumber or '-'}  {item.StudyInstanceUID}"
        f"  {item.RequestedProcedureDescription or '-'}{patient}"
    )
