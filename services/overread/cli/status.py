"""`overread status`: is every service ready, and if not, what it waits for."""

import argparse
import json
import sys
from pathlib import Path

from overread.cli import options
from overread.embedded.endpoints import Endpoints
from overread.embedded.profile import SERVICES
from overread.runtime.health import readiness_at


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "status",
        help="say whether every service is ready, and what a service waits for",
        description="Asks each service's own health socket. Exit 0 when all are ready, else 1.",
    )
    options.add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the state of every service."""
    answers = failing_of(Endpoints.of(told.data))
    if told.json:
        sys.stdout.write(json.dumps(answers) + "\n")
    else:
        for name, failing in answers.items():
            reasons = "; ".join(f"{what}: {why}" for what, why in failing.items())
            sys.stdout.write(f"{name:17} {reasons or 'ready'}\n")
    return 1 if any(answers.values()) else 0


def failing_of(endpoints: Endpoints) -> dict[str, dict[str, str]]:
    """Return what keeps each service from being ready, empty where nothing does."""
    return {name: _failing(endpoints.health_socket(name)) for name in SERVICES}


def _failing(socket: Path) -> dict[str, str]:
    """Return what is failing, empty when the service is ready."""
    failing = readiness_at(socket)
    return {"service": "does not answer"} if failing is None else dict(failing)
