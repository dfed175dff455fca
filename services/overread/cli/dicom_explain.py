"""`overread dicom explain`: what is in a file, what the intake would answer, and what would become of it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom.uid import UID

from overread.contracts.errors import Malformed
from overread.contracts.events.intake import InstanceAttributes
from overread.protocols.dicom.attributes import InstanceHeader, read_header
from overread.protocols.dicom.part10 import Part10File, split
from overread.protocols.dicom.sop_classes import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, is_accompanying

_HIDDEN = "(hidden; --show-patient prints it)"


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "explain",
        help="what is in a file, and what the intake would do with it",
        description="Reads the header as the intake does. Nothing is sent.",
    )
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--show-patient", action="store_true", help="print name, number and birth date too")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Explain each file; the status is 1 when one would be refused."""
    refused = 0
    for path in told.file:
        lines, is_taken = explain(path.read_bytes(), shows_patient=told.show_patient)
        refused += not is_taken
        sys.stdout.write(f"{path}\n" + "".join(f"  {line}\n" for line in lines))
    return 1 if refused else 0


def explain(content: bytes, *, shows_patient: bool = False) -> tuple[list[str], bool]:
    """Return what there is to say about a Part 10 file, and whether the intake would take it."""
    try:
        file = split(content)
    except Malformed:
        return ["is no DICOM file: it has no DICM after 128 bytes, or no File Meta Information (PS3.10, 7.1)"], False
    if file.transfer_syntax_uid not in TRANSFER_SYNTAXES:
        return [f"transfer syntax {_name(file.transfer_syntax_uid)} is not taken: no context is accepted for it"], False
    try:
        header = read_header([file.data_set], file.transfer_syntax_uid)
    except Malformed as fault:
        return [f"would be answered 0xC000: {fault}"], False
    if header.sop_class_uid not in STORAGE_SOP_CLASSES:
        return [f"{_name(header.sop_class_uid)} is not taken: no context is accepted for it"], False
    return [*_said(file, header, shows_patient=shows_patient), *_remarks(header)], True


def _said(file: Part10File, header: InstanceHeader, *, shows_patient: bool) -> Iterator[str]:
    found = header.attributes
    patient = f"{found.patient_id or '-'}  {found.patient_name or '-'}  {found.patient_birth_date or '-'}"
    accompanies = is_accompanying(header.sop_class_uid, manufacturer=found.manufacturer)
    yield f"{_name(header.sop_class_uid)}, {_name(file.transfer_syntax_uid)}: would be answered 0x0000"
    yield f"study    {header.study_instance_uid}"
    yield f"instance {header.sop_instance_uid}"
    yield f"patient  {patient if shows_patient else _HIDDEN}"
    yield f"order    accession number {found.accession_number or 'missing: only its StudyInstanceUID can find an order'}"
    yield "becomes  kept beside the images, never read by a model" if accompanies else "becomes  an image of its study"


def _remarks(header: InstanceHeader) -> Iterator[str]:
    found: InstanceAttributes = header.attributes
    for keyword in header.undecodable:
        yield f"! {keyword} can't be read in its character set or representation, and counts as absent"
    if not found.patient_id:
        yield "! no Patient ID: an order whose patient has a number won't be compared by it"
    if found.burned_in_annotation == "YES":
        yield "! Burned In Annotation is YES: it is never sent to a model"
    if found.modality == "CT" and (found.image_position_patient is None or found.pixel_spacing is None):
        yield "! a CT without Image Position or Pixel Spacing: models of volumes will withhold it"


def _name(uid: str) -> str:
    return UID(uid).name
