"""`overread up`: servers and services in the foreground, until they are told to stop."""

import argparse
import asyncio
import sys
from pathlib import Path

from overread.cli import options
from overread.embedded.profile import DICOM_PORT, HTTP_PORT, MLLP_PORT, Profile, first_passwords
from overread.embedded.supervisor import serve


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "up",
        help="run servers and services until Ctrl-C; prints `ready` when all are healthy",
        description="Runs Kafka, PostgreSQL, Triton and all services on this machine, loopback only. Prints `ready` "
        "alone on a line of standard output once everything is healthy; progress goes to standard error. "
        "Takes any MLLP sender and any calling AE; an unknown called AE is refused.",
    )
    options.add_data(parser)
    parser.add_argument(
        "--emr",
        metavar="mllp://HOST:PORT",
        help="where results go; it gets unverified results too, as R (not yet verified)",
    )
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    profile = Profile(data_dir=told.data, port_offset=options.port_offset(), emr=told.emr)
    asyncio.run(serve(profile.stack(), on_ready=lambda: announce(profile)))
    return 0


def announce(profile: Profile) -> None:
    """Say where everything is, then `ready`."""
    for line in addresses(profile):
        sys.stderr.write(f"  {line}\n")
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def addresses(profile: Profile) -> list[str]:
    """Return the addresses of a stack, a line each."""
    offset = profile.port_offset
    unverified = f"results go to {profile.emr}, unverified ones too, as R" if profile.emr else "no destination is named"
    passwords = first_passwords(Path(profile.data_dir))
    return [
        f"HL7 v2 MLLP   127.0.0.1:{MLLP_PORT + offset}",
        f"DICOM         OVERREAD@127.0.0.1:{DICOM_PORT + offset}",
        f"HTTP          http://127.0.0.1:{HTTP_PORT + offset}  (API /api/v1, description /api/v1/openapi.json)",
        f"delivery      {unverified}",
        f"sign-in       users and first passwords in {passwords}; ./run overread token --user radiologist",
        f"logs          {Path(profile.data_dir) / 'logs'}",
    ]
