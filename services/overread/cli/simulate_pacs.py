"""`overread simulate pacs`: an archive that takes every object by C-STORE, and prints what came."""

import argparse
import contextlib
import importlib
import sys
import time
from pathlib import Path
from typing import Any

from overread.cli import options
from overread.cli.hl7_record import add_bounds

LOOK_SECONDS = 0.1


def add_to(systems: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the system."""
    parser = systems.add_parser(
        "pacs",
        help="an archive that takes objects by C-STORE and prints what came",
        description="Listens as the AE DEMO_PACS for every storage class, keeps each object as a file, and prints its "
        "modality, its study and, of a report, whether it is verified. With ./run up --pacs dicom://DEMO_PACS@HOST:PORT.",
    )
    parser.add_argument("--port", type=options.port, default=4242, metavar="N", help="where to listen (default: 4242)")
    parser.add_argument("--into", type=Path, default=Path("pacs"), metavar="FOLDER", help="default: ./pacs")
    add_bounds(parser, "objects")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Listen until the bound, or Ctrl-C."""
    told.into.mkdir(mode=0o700, parents=True, exist_ok=True)
    pacs = importlib.import_module("overread.cli.demo_peers").Pacs(told.into)
    pacs.start(told.port)
    sys.stderr.write(f"PACS listening as DEMO_PACS on 127.0.0.1:{pacs.port}; Ctrl-C ends it\n")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            _print_what_comes(told, pacs)
    finally:
        pacs.stop()
    return 0


def _print_what_comes(told: argparse.Namespace, pacs: Any) -> None:
    printed, ends_at = 0, None if told.seconds is None else time.monotonic() + told.seconds
    while (ends_at is None or time.monotonic() < ends_at) and (told.limit is None or printed < told.limit):
        for stored, path, _ in pacs.received[printed:]:
            flag = f", {stored.VerificationFlag}" if "VerificationFlag" in stored else ""
            sys.stdout.write(f"{stored.Modality}{flag}  study {stored.StudyInstanceUID}  {path.name}\n")
            sys.stdout.flush()
            printed += 1
        time.sleep(LOOK_SECONDS)
