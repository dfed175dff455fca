"""HAPI's HL7 v2 parser and FHIR validator, other people's, as processes that judge files: our harness is `src/`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "referees"
BUILD = ROOT / ".cache" / "referees"
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""The quick compiler: a validation of a minute would gain from the other, one of ten seconds takes twice as long by it."""


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
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(SOURCES, BUILD)
    goals = ["compile", "dependency:copy-dependencies", f"-DoutputDirectory={BUILD / 'lib'}"]
    subprocess.run(["mvn", "-q", "-B", *goals], cwd=BUILD, check=True, timeout=280)
    stamp.touch()


def judge(classpath: str, paths: list[Path], *, referee: str = "Hl7Referee") -> list[str]:
    """Return HAPI's verdict on each file: a line that begins with OK or FAIL; one process judges them all."""
    told = subprocess.run(
        ["java", *QUICK, "-Dfile.encoding=UTF-8", "-cp", classpath, referee],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=150,
    )
    return told.stdout.splitlines()
