"""`overread dicom echo`: is anybody there, and would it take me (PS3.4, A)."""

import argparse
import sys

from overread.cli.dicom_line import LineError, add_line, associated, status_word
from overread.protocols.dicom.sop_classes import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "echo",
        help="call, and say why if it is refused",
        description="Opens an association and sends one C-ECHO: titles, host and port are right when it succeeds.",
    )
    add_line(parser)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Echo once."""
    with associated(told, [(VERIFICATION, [IMPLICIT_VR_LITTLE_ENDIAN])]) as association:
        status = association.send_c_echo()
    if status.get("Status") != 0x0000:
        raise LineError(status_word(status))
    sys.stdout.write(f"{told.calling} is taken: {status_word(status)}\n")
    return 0
