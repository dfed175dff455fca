"""`overread up`: servers and services in the foreground, until they are told to stop."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from overread.cli import options
from overread.embedded.caller import CallerSettings
from overread.embedded.profile import Profile, first_passwords
from overread.embedded.supervisor import serve


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "up",
        help="run servers and services until Ctrl-C; prints `ready` when all are healthy",
        description="Runs Kafka, PostgreSQL, Triton and all services on this machine, loopback only. Prints `ready` "
        "alone on a line of standard output once everything is healthy; progress goes to standard error. "
        "Takes any MLLP sender and any calling AE; an unknown called AE is refused. The services get your OVERREAD_* "
        "settings; OVERREAD_SITE_ID names the site of a new data folder, for ever.",
    )
    options.add_data(parser)
    parser.add_argument(
        "--emr",
        metavar="mllp://HOST:PORT",
        help="where results go as ORU^R01; it gets unverified results too, as R (not yet verified)",
    )
    parser.add_argument(
        "--pacs",
        metavar="dicom://AE@HOST:PORT",
        help="where results go as SR, SEG and secondary capture; unverified ones too, as UNVERIFIED",
    )
    parser.add_argument(
        "--fhir", metavar="URL", help="where results go as FHIR R4 transactions; unverified ones too, as partial"
    )
    parser.add_argument(
        "--fhir-token-file", type=Path, metavar="FILE", help="the bearer token for --fhir, read anew for each request"
    )
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    profile = profile_of(told, os.environ)
    asyncio.run(serve(profile.stack(), on_ready=lambda: announce(profile)))
    return 0


def profile_of(told: argparse.Namespace, environment: Mapping[str, str]) -> Profile:
    """Return the profile that options and environment ask for; what only the stack decides is said to be left out."""
    caller = CallerSettings.of(environment)
    for name in caller.left_out:
        sys.stderr.write(f"{name} is left out: ./run up decides it itself\n")
    return Profile(
        data_dir=told.data,
        port_offset=options.port_offset(),
        emr=told.emr,
        pacs=told.pacs,
        fhir=told.fhir,
        fhir_token_file=told.fhir_token_file,
        site_id=environment.get("OVERREAD_SITE_ID") or None,
        settings=caller.passed_on,
    )


def announce(profile: Profile) -> None:
    """Say where everything is, then `ready`."""
    for line in addresses(profile):
        sys.stderr.write(f"  {line}\n")
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def addresses(profile: Profile) -> list[str]:
    """Return the addresses of a stack, a line each."""
    passwords = first_passwords(Path(profile.data_dir))
    return [
        f"HL7 v2 MLLP   {_where_links_listen(profile)}",
        f"DICOM         OVERREAD@127.0.0.1:{profile.port('DICOM')}",
        f"HTTP          http://127.0.0.1:{profile.port('HTTP')}  (API /api/v1, description /api/v1/openapi.json)",
        *(f"delivery      {line}" for line in _where_results_go(profile)),
        f"sign-in       users and first passwords in {passwords}; ./run overread token --user radiologist",
        f"logs          {Path(profile.data_dir) / 'logs'}",
    ]


def _where_links_listen(profile: Profile) -> str:
    """Name the default port, or the file that says which ports there are."""
    file = profile.settings.get("OVERREAD_HL7_LINKS")
    return f"as {file} says: ./run overread links --file {file}" if file else f"127.0.0.1:{profile.port('MLLP')}"


UNVERIFIED_AS = {"emr": "R", "pacs": "UNVERIFIED", "fhir": "partial"}


def _where_results_go(profile: Profile) -> list[str]:
    if profile.receivers:
        return [
            f"results go to {url}, unverified ones too, as {UNVERIFIED_AS[name]}"
            for name, url in profile.receivers.items()
        ]
    if profile.own_destinations:
        return [f"as {profile.own_destinations} says"]
    return ["no destination is named"]
