"""`overread mapping`: what a link's codes mean at the site; files in and out, versions, codes that nothing names yet."""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from overread.assembly import mapping_checks, mapping_files
from overread.assembly.mapping_faults import Faulty
from overread.assembly.mapping_rows import COLUMNS, Kind
from overread.cli import api_client
from overread.cli.hospital_time import said as said_at
from overread.contracts.errors import OverreadError
from overread.embedded.profile import MODELS_FILE
from overread.inference import catalog

EXAMPLES = """\
examples:
  overread mapping check codes.xlsx            is the file right? asks nobody
  overread mapping import codes.xlsx           says what would change, and asks before it does
  overread mapping unmapped --csv > todo.csv   codes that came and that nothing names yet, as a file to fill in
  overread mapping export mapping.xlsx
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "mapping",
        help="import and export what a link's codes mean, and list codes that nothing names yet",
        description="A mapping says what a sender's service codes, wards, doctors and code systems are called at the "
        "site (docs/mapping.md). Every import is a version; nothing is taken from a file with a fault.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="check|import|export|unmapped|history|rollback"
    )
    _add(actions, "check", run_check, "say what is wrong with a file, or what it holds; asks nobody", file=True)
    taking = _add(actions, "import", run_import, "say what a file would change, and take it", file=True)
    taking.add_argument("--whole", action="store_true", help="rows that are not in the file are taken out")
    exporting = _add(actions, "export", run_export, "write the mapping to a file; .xlsx makes a workbook")
    exporting.add_argument("file", nargs="?", type=Path, help="default: CSV on standard output")
    exporting.add_argument("--version", type=int, metavar="NUMBER", help="an earlier version")
    waiting = _add(actions, "unmapped", run_unmapped, "list codes that came and that nothing names yet, with counts")
    waiting.add_argument("--csv", action="store_true", help="as a file to fill in and import")
    _add(actions, "history", run_history, "list the versions: when, who, what changed, how far orders follow")
    back = _add(actions, "rollback", run_rollback, "let an earlier version count again, as a new one")
    back.add_argument("version", type=int, help="as `mapping history` shows it; 0 is no mapping at all")
    for action in (taking, back):
        action.add_argument("--yes", action="store_true", help="do not ask")


def _add(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    *,
    file: bool = False,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    if file:
        action.add_argument("file", type=Path, help="CSV or workbook (.xlsx)")
    if name != "check":
        action.add_argument("--user", default="integrator", metavar="NAME", help="who asks (default: integrator)")
    action.set_defaults(run=run)
    return action


def run_check(told: argparse.Namespace) -> int:
    """Print what the file holds, or every fault; exit status 1 when it has one."""
    models = frozenset(model.name for model in catalog.load(MODELS_FILE).models)
    try:
        rows = mapping_files.read(told.file.read_bytes(), models=models)
    except Faulty as faulty:
        sys.stdout.writelines(f"{fault.words}\n" for fault in faulty.faults)
        return 1
    counts = Counter(row.kind.value for row in rows)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    sys.stdout.write(f"{told.file.name}: {len(rows)} rows ({kinds}), nothing is wrong\n")
    return 0


def run_import(told: argparse.Namespace) -> int:
    """Print what the file would change, and take it when that is wanted; exit status 1 when it has a fault."""
    api, content = _api(told), told.file.read_bytes()
    whole = "true" if told.whole else None
    would = api.send_file("/check", content, whole=whole)
    if would["faults"]:
        sys.stdout.writelines(f"{fault['words']}\n" for fault in would["faults"])
        sys.stdout.write("nothing was taken\n")
        return 1
    if _is_wanted(would, is_asked=not told.yes):
        _tell(api.send_file("/import", content, whole=whole, base=would["version"]))
    return 0


def run_rollback(told: argparse.Namespace) -> int:
    """Print what going back would change, and do it when that is wanted."""
    api = _api(told)
    would = api.get("/rollback", version=told.version)
    if _is_wanted(would, is_asked=not told.yes):
        _tell(api.post("/rollback", {"version": told.version, "base": would["version"]}))
    return 0


def run_export(told: argparse.Namespace) -> int:
    """Write the mapping."""
    form = "xlsx" if told.file and told.file.suffix.lower() == ".xlsx" else "csv"
    content = _api(told).file("/file", form=form, version=told.version)
    if told.file:
        told.file.write_bytes(content)
    else:
        sys.stdout.write(content.decode("utf-8-sig").replace("\r\n", "\n"))
    return 0


def run_unmapped(told: argparse.Namespace) -> int:
    """Print each code that nothing names, the most frequent first."""
    codes = _api(told).get("/unmapped")
    if told.csv:
        sys.stdout.write(
            to_fill_in((one["kind"], one["link"], one["code"], one["system"], one["example"]) for one in codes)
        )
        return 0
    for one in codes:
        system = f" ({one['system']})" if one["system"] else ""
        line = f"{one['count']:7}  {one['kind']:12} {one['code']}{system}  {one['example']}"
        sys.stdout.write(f"{line.rstrip()}  on {one['link'] or '-'}, last {said_at(one['last_seen'], 'minutes')}\n")
    if not codes:
        sys.stderr.write("every code that came is mapped\n")
    return 0


def run_history(told: argparse.Namespace) -> int:
    """Print the versions, newest first."""
    versions = _api(told).get("/versions")
    for one in versions:
        changes = f"+{one['added']} ~{one['changed']} -{one['removed']}, {one['row_count']} rows"
        orders = f"{one['orders_told']} orders told again{'' if one['is_applied'] else ', more follow'}"
        who = f"{said_at(one['made_at'])}  {one['made_by']}  {one['origin']}"
        sys.stdout.write(f"{one['version']:5}  {who}  {changes}  {orders}  {one['digest'][:12]}\n")
    if not versions:
        sys.stderr.write("there is no mapping yet\n")
    return 0


def to_fill_in(codes: Iterable[tuple[str, str, str, str, str]]) -> str:
    """Return a CSV with a row for each (kind, link, code, system, text), whose meaning is left for a person.

    The text that the sender wrote stands in the column `vi`, to be corrected.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter=";", lineterminator="\n")
    writer.writeheader()
    for kind, link, code, system, example in codes:
        said = {"kind": kind, "link": link, "code": code, "system": system}
        cells = said if kind == Kind.CODE_SYSTEM else said | {"vi": example}
        writer.writerow({name: mapping_checks.harmless(cell) for name, cell in cells.items()})
    return text.getvalue()


def _is_wanted(would: Any, *, is_asked: bool) -> bool:
    sys.stdout.writelines(f"{sentence}\n" for sentence in would["sentences"])
    sys.stdout.writelines(f"warning: {sentence}\n" for sentence in would["warnings"])
    if not (would["added"] or would["changed"] or would["removed"]):
        sys.stdout.write("nothing would change\n")
        return False
    if not is_asked:
        return True
    if not sys.stdin.isatty():
        raise OverreadError("nothing was changed: give --yes to do it without being asked")
    return input("do it? [y/N] ").strip().lower() in ("y", "yes")


def _tell(done: Any) -> None:
    count = f"{'at least ' if done['orders_at_least'] else ''}{done['orders']}"
    sys.stdout.write(
        f"version {done['version']} counts now; {count} open orders whose study is not read hold one of these codes and "
        "follow in the background (overread mapping history)\n"
    )


def _api(told: argparse.Namespace) -> api_client.Api:
    url = api_client.base_url()
    return api_client.Api(url, api_client.sign_in(told.user, url=url), prefix="/mapping")
