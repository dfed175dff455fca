"""`overread status`: is every service ready, and if not, what it waits for."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from overread.cli import options
from overread.embedded.endpoints import Endpoints
from overread.embedded.profile import SERVICES
from overread.runtime.health import readiness_and_warnings_at


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "status",
        help="say whether every service is ready, and what a service waits for",
        description="Asks each service's own health socket. Exit 0 when all are ready, else 1. A warning is of a part that "
        "is not well, as a link whose folder or RIS does not answer, and keeps nothing else from working.",
    )
    options.add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the state of every service."""
    told_by = {name: _told(Endpoints.of(told.data).health_socket(name)) for name in SERVICES}
    if told.json:
        sys.stdout.write(json.dumps({name: failing for name, (failing, _) in told_by.items()}) + "\n")
    else:
        sys.stdout.writelines(f"{name:17} {_line(*both)}\n" for name, both in told_by.items())
    return 1 if any(failing for failing, _ in told_by.values()) else 0


def _line(failing: Mapping[str, str], warnings: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{what}: {why}" for what, why in failing.items())
    warned = "; ".join(f"{what}: {why}" for what, why in warnings.items())
    return (reasons or "ready") + (f"; warning, {warned}" if warned else "")


def failing_of(endpoints: Endpoints) -> dict[str, dict[str, str]]:
    """Return what keeps each service from being ready, empty where nothing does."""
    return {name: dict(_told(endpoints.health_socket(name))[0]) for name in SERVICES}


def _told(socket: Path) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what is failing, empty when the service is ready, and what it warns of."""
    told = readiness_and_warnings_at(socket)
    return ({"service": "does not answer"}, {}) if told is None else told
