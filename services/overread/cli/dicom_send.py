"""`overread dicom send`: images to the intake by C-STORE, each refusal in words (PS3.4, B)."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from pydicom.dataset import FileDataset
from pynetdicom.association import Association

from overread.cli.dicom_line import add_line, associated, files_of, status_word

MOST_CONTEXTS = 128


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "send",
        help="send files by C-STORE, each in the transfer syntax that it has",
        description="Sends the DICOM files among the paths, on one association. Nothing is converted.",
    )
    parser.add_argument("path", nargs="+", type=Path, help="files, or folders with files")
    add_line(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Send every file; the status is 1 when one was not kept."""
    files = files_of(told.path)
    kinds = sorted({_kind(data_set) for _, data_set in files})[:MOST_CONTEXTS]
    answers: Counter[str] = Counter()
    with associated(told, [(sop_class, [syntax]) for sop_class, syntax in kinds]) as association:
        for number, (path, data_set) in enumerate(files, start=1):
            answer = _sent(association, data_set)
            answers[answer] += 1
            if answer != "0x0000 success":
                sys.stdout.write(f"{path}: {answer}\n")
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{number} of {len(files)}")
    for answer, count in answers.most_common():
        sys.stdout.write(f"{count} of {len(files)}: {answer}\n")
    return 0 if set(answers) == {"0x0000 success"} else 1


def _kind(data_set: FileDataset) -> tuple[str, str]:
    return str(data_set.SOPClassUID), str(data_set.file_meta.TransferSyntaxUID)


def _sent(association: Association, data_set: FileDataset) -> str:
    sop_class, syntax = _kind(data_set)
    if not any(
        context.abstract_syntax == sop_class and context.transfer_syntax[0] == syntax
        for context in association.accepted_contexts
    ):
        return "not offered: this SOP class or transfer syntax is not taken"
    try:
        return status_word(association.send_c_store(data_set))
    except (RuntimeError, ValueError) as error:
        return f"not sent: {error}"
