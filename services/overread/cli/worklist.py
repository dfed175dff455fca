"""`overread cases` and `overread reports`: what waits, what was found, what became of it."""

import argparse
import json
import sys
from typing import Any

from overread.cli import api_client


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands."""
    reports = subparsers.add_parser("reports", help="list reports, or show one", description="Reports of this site.")
    reports.add_argument("report_id", nargs="?", help="show this report whole")
    reports.add_argument("--accession", metavar="NUMBER", help="only reports of this accession number")
    reports.add_argument("--state", help="only reports in this state, as drafted or final")
    cases = subparsers.add_parser("cases", help="list cases, or show one", description="Cases of this site.")
    cases.add_argument("case_id", nargs="?", help="show this case whole")
    for parser, run in ((reports, run_reports), (cases, run_cases)):
        parser.add_argument("--user", default="radiologist", metavar="NAME", help="who asks (default: radiologist)")
        parser.add_argument("--json", action="store_true", help="print the API's answer as it is")
        parser.set_defaults(run=run)


def run_reports(told: argparse.Namespace) -> int:
    """Print reports, a line each, or one report."""
    api = _api(told)
    if told.report_id:
        return _print(api.get(f"/reports/{told.report_id}"))
    answer = api.get("/reports", accession_number=told.accession, state=told.state)
    return (
        _print(answer) if told.json else _table(answer, ("report_id", "state", "report_revision", "study_instance_uid"))
    )


def run_cases(told: argparse.Namespace) -> int:
    """Print cases, a line each, or one case."""
    api = _api(told)
    if told.case_id:
        return _print(api.get(f"/cases/{told.case_id}"))
    answer = api.get("/cases")
    return _print(answer) if told.json else _table(answer, ("case_id", "revision", "study_instance_uid"))


def _api(told: argparse.Namespace) -> api_client.Api:
    url = api_client.base_url()
    return api_client.Api(url, api_client.sign_in(told.user, url=url))


def _print(answer: Any) -> int:
    json.dump(answer, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
    return 0


def _table(answer: Any, columns: tuple[str, ...]) -> int:
    rows = answer.get("items", []) if isinstance(answer, dict) else answer
    for row in rows:
        sys.stdout.write("  ".join(str(row.get(column, "")) for column in columns) + "\n")
    if not rows:
        sys.stderr.write("none\n")
    return 0
