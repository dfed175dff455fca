"""HAPI HL7v2, somebody else's parser, as a process that judges files: our harness around it is `src/`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "referees"
BUILD = ROOT / ".cache" / "referees"


def classpath() -> str:
    """Return the class path of the harness, built when its sources changed; skip with a word without a JDK and Maven."""
    missing = [tool for tool in ("javac", "mvn") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on the path: HAPI was not asked")
    source = max(path.stat().st_mtime for path in SOURCES.rglob("*") if path.is_file())
    stamp = BUILD / "ready"
    if not stamp.exists() or stamp.stat().st_mtime < source:
        _build(stamp)
    return f"{BUILD / 'target' / 'classes'}{os.pathsep}{BUILD / 'lib'}/*"


def _build(stamp: Path) -> None:
    shutil.copytree(SOURCES, BUILD, dirs_exist_ok=True)
    goals = ["compile", "dependency:copy-dependencies", f"-DoutputDirectory={BUILD / 'lib'}"]
    subprocess.run(["mvn", "-q", "-B", *goals], cwd=BUILD, check=True, timeout=280)
    stamp.touch()


def judge(classpath: str, paths: list[Path]) -> list[str]:
    """Return HAPI's verdict on each file: a line that begins with OK or FAIL."""
    told = subprocess.run(
        ["java", "-Dfile.encoding=UTF-8", "-cp", classpath, "Hl7Referee"],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return told.stdout.splitlines()
