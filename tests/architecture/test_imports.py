"""Who may import whom: import-linter's contracts in pyproject.toml, and that they see every package."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from importlinter import cli

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("contracts", "inference", "services", "compose")


def configuration() -> dict[str, Any]:
    """Return `[tool.importlinter]`."""
    config: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]
    return config


def packages() -> Iterator[str]:
    """Yield each package folder under the four roots."""
    for root in SOURCE_ROOTS:
        for folder in sorted((ROOT / root / "overread").iterdir()):
            if (folder / "__init__.py").is_file():
                yield f"overread.{folder.name}"


def test_every_import_goes_downwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAYOUT, Who may import whom: services meet in Kafka, not in Python."""
    monkeypatch.chdir(ROOT)

    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS


LIBRARIES_WITH_ONE_OWNER = {
    "tritonclient": ("overread.inference.",),
    "faststream": ("overread.runtime.",),
    "aiokafka": ("overread.runtime.",),
    "hl7apy": ("overread.protocols.hl7.",),
    "confluent_kafka": ("overread.embedded.",),
    "orjson": ("overread.contracts.codec",),
}


def imports() -> Iterator[tuple[str, str]]:
    """Yield (module, what it imports) for every import anywhere in our files."""
    for root in SOURCE_ROOTS:
        for path in (ROOT / root / "overread").rglob("*.py"):
            module = ".".join(path.relative_to(ROOT / root).with_suffix("").parts)
            yield from ((module, name) for name in _imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("library", "owners"), LIBRARIES_WITH_ONE_OWNER.items())
def test_library_is_used_by_its_owner_only(library: str, owners: tuple[str, ...]) -> None:
    """A library that is known in one place can be replaced in one place."""
    users = [module for module, name in imports() if name.split(".")[0] == library]

    assert [module for module in users if not f"{module}.".startswith(owners)] == []


def test_of_archive_services_import_its_queries_only() -> None:
    """The one written exception to "services meet only in Kafka": worklist, query and commitment answer at once."""
    above = ("overread.archive.", "overread.embedded.", "overread.cli.")
    users = [(m, name) for m, name in imports() if name.startswith("overread.archive") and not m.startswith(above)]

    assert [user for user in users if not f"{user[1]}.".startswith("overread.archive.queries.")] == []


def test_every_package_is_watched() -> None:
    """A package that import-linter does not know could import what it likes."""
    assert set(packages()) <= set(configuration()["root_packages"])


def test_no_root_has_an_init_file() -> None:
    """One `__init__.py` directly under an `overread/` folder would hide the other three roots."""
    assert [root for root in SOURCE_ROOTS if (ROOT / root / "overread" / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", ["inference", "protocols", "contracts"])
def test_package_init_stays_empty(package: str) -> None:
    """Importing `catalog` must not load the Triton client: what a package's init imports, everybody pays for."""
    found = [path for root in SOURCE_ROOTS for path in (ROOT / root / "overread" / package).glob("__init__.py")]

    assert all(not path.read_text(encoding="utf-8").strip() for path in found)
