"""One owner for each dangerous act, and the few habits that a linter does not know."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from overread.contracts.topics import TOPICS

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("contracts", "inference", "services", "compose")
FORBIDDEN_NAMES = frozenset({"utils", "common", "helpers", "base", "manager", "util", "helper"})
SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|OR|INDEX|ROLE|SCHEMA)\s|ALTER\s)"
)
SQL_FILES = re.compile(r"(store|\w+_store|queries)\.py")
OWNERS_OF_CALLS = {
    "signatures.sign": {"review/sign_off.py"},
    "store.insert_signature": {"review/sign_off.py"},
    "signatures.certify_clinician": {"review/keys.py"},
    "signatures.make_site_ca": {"review/keys.py"},
    "sequence.verified_status": {"delivery/gate.py"},
    "store.enqueue": {"delivery/dispatch.py", "delivery/handlers.py"},
}
"""Exactly who calls what is dangerous: a test that finds no caller has lost sight of it, and fails too."""

MAKERS_OF_RECORDS = {
    "runtime/inbox.py",
    "runtime/outbox.py",
    "runtime/dead_letter.py",
    "hl7_intake/intake.py",
    "order_intake/intake.py",
    "dicom_intake/ports.py",
    "archive/sweep.py",
}
"""Who makes a record for a topic beside the transaction: relay, dead letters, and what stands for a stored input."""


@cache
def modules() -> tuple[Path, ...]:
    """Return each of our Python files, the models' own excepted."""
    return tuple(path for root in SOURCE_ROOTS for path in sorted((ROOT / root / "overread").rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of `path`."""
    return ast.parse(path.read_text(encoding="utf-8"))


def named(path: Path) -> str:
    """Return `path` as it is said in LAYOUT: package/module.py."""
    return path.relative_to(next(parent for parent in path.parents if parent.name == "overread")).as_posix()


def strings(path: Path) -> Iterator[str]:
    """Yield each string constant that is no docstring, the fixed parts of f-strings too."""
    docstrings = {id(docstring) for node in ast.walk(tree_of(path)) for docstring in _docstring(node)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _docstring(node: ast.AST) -> Iterator[ast.expr]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr):
        yield node.body[0].value


def calls(path: Path) -> Iterator[str]:
    """Yield each called name as `module.function`, whether it was imported by module or by name."""
    imported = {
        alias.asname or alias.name: f"{(node.module or '').rpartition('.')[2]}.{alias.name}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in imported:
            yield imported[node.id]


@pytest.mark.parametrize(("call", "owners"), OWNERS_OF_CALLS.items())
def test_dangerous_call_has_its_owners_and_no_other(call: str, owners: set[str]) -> None:
    """A report becomes signed only in review/sign_off.py; only the gate gives a message the status F or C."""
    assert {named(path) for path in modules() if call in calls(path)} == owners


def test_signed_reports_are_published_only_by_sign_off() -> None:
    """REQ-REV-01: one module writes `reports.signed`."""
    assert {named(path) for path in modules() if _publishes(path, "REPORTS_SIGNED")} == {"review/sign_off.py"}


def test_gate_verdicts_are_made_only_by_the_gate() -> None:
    """A final message leaves only through delivery's gate: nobody else says that a report was released."""
    assert makers_of("GateDecided") == {"delivery/dispatch.py"}


def test_records_are_made_only_where_the_transaction_can_not() -> None:
    """A record made by hand goes past the outbox and past the map's topic of its body."""
    assert makers_of("Outgoing") == MAKERS_OF_RECORDS


def test_only_the_transaction_fills_the_outbox() -> None:
    """An event that another hand put there would leave as if a handler had published it."""
    assert {named(path) for path in modules() if any("INTO outbox" in text for text in strings(path))} == {
        "runtime/inbox.py"
    }


def makers_of(body: str) -> set[str]:
    """Return who makes a value of the class `body`."""
    return {named(path) for path in modules() if body in constructed(path)}


def constructed(path: Path) -> Iterator[str]:
    """Yield the last name of each call, patterns of a match statement left out."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2]


def _publishes(path: Path, topic: str) -> bool:
    """Say whether `path` hands the topic to something that publishes."""
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2].startswith("publish")
        and any(ast.unparse(argument).endswith(topic) for argument in node.args)
        for node in ast.walk(tree_of(path))
    )


def test_topic_names_are_spelled_only_in_the_map() -> None:
    """Code never spells a topic name: it names the topic, and a reader can jump to it."""
    names = {topic.name for topic in TOPICS} | {topic.dead_name for topic in TOPICS}
    spelled = {named(path): names.intersection(strings(path)) for path in modules()}

    assert {path: found for path, found in spelled.items() if found and path != "contracts/topics.py"} == {}


def test_sql_lives_only_in_stores_and_the_runtime() -> None:
    """A table has one owner; a reader finds its SQL in one file."""
    spelled = [named(path) for path in modules() if any(SQL.match(text) for text in strings(path))]

    assert [name for name in spelled if not _may_hold_sql(name)] == []


def _may_hold_sql(name: str) -> bool:
    package, _, module = name.partition("/")
    return (
        package == "runtime"
        or name in {"archive/queries.py", "embedded/postgres.py"}
        or bool(SQL_FILES.fullmatch(module))
    )


def test_only_the_codec_knows_orjson() -> None:
    """Bytes become an event in one place."""
    users = [named(path) for path in modules() if "orjson" in _imports(path)]

    assert users == ["contracts/codec.py"]


def test_protocols_do_nothing_but_compute() -> None:
    """Bytes and values in, values out: no socket, no clock, no file."""
    impure = frozenset({"socket", "asyncio", "time", "pathlib", "os", "random", "secrets", "threading"})
    pure = [path for path in modules() if named(path).startswith("protocols/")]

    assert {named(path): found for path in pure if (found := impure & _imports(path))} == {}


def test_contracts_use_only_what_they_may() -> None:
    """LAYOUT: the standard library, pydantic and orjson."""
    foreign = {"pydantic", "orjson", "overread"}
    used = {name for path in modules() if named(path).startswith("contracts/") for name in _imports(path)}

    assert [name for name in used - foreign if not _is_standard(name)] == []


def _is_standard(name: str) -> bool:
    import sys  # noqa: PLC0415 - used here only

    return name in sys.stdlib_module_names


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_only_the_runtime_catches_everything() -> None:
    """Whoever catches all errors decides what they mean; that is the runtime's policy."""
    broad = [
        f"{named(path)}:{node.lineno}"
        for path in modules()
        if not named(path).startswith("runtime/")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or "Exception" in ast.unparse(node.type).split())
    ]

    assert broad == []


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    """STYLE 16."""
    assert [named(path) for path in modules() if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_function_is_longer_than_fifty_lines() -> None:
    """STYLE 16: past 25, look for the second idea; 50 is a hard stop."""
    long = [
        f"{named(path)}: {node.name}"
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
        if node.end_lineno - node.lineno >= 50
    ]

    assert long == []


def test_no_module_is_named_after_nothing() -> None:
    """If the only name left is `utils`, the code belongs beside its caller."""
    words = {named(path): set(path.stem.split("_")) | set(path.parent.name.split("_")) for path in modules()}

    assert {path: found for path, parts in words.items() if (found := parts & FORBIDDEN_NAMES)} == {}


def test_no_work_is_left_as_a_comment() -> None:
    """No TODO without an issue, no sentence that only its writer understands."""
    marker = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")

    assert [named(path) for path in modules() if marker.search(path.read_text(encoding="utf-8"))] == []
