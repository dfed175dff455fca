"""HAPI's HL7 v2 parser and FHIR validator, other people's, as processes that judge files: our harness is `src/`.

Each is started once and stays for the whole session: a JVM and the definitions of FHIR cost more than all the judging.
"""

import atexit
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Timer
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "referees"
BUILD = ROOT / ".cache" / "referees"
ANSWER_SECONDS = 150.0
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


def judge(classpath: str, paths: Sequence[Path], *, referee: str = "Hl7Referee") -> list[str]:
    """Return HAPI's verdict on each file: a line that begins with OK or FAIL."""
    return _resident(classpath, referee).judge(paths)


@cache
def _resident(classpath: str, referee: str) -> "_Resident":
    resident = _Resident(["java", *QUICK, "-Dfile.encoding=UTF-8", "-cp", classpath, referee])
    atexit.register(resident.close)
    return resident


class _Resident:
    """A referee that answers each path with a line, until its input ends."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(self, paths: Sequence[Path]) -> list[str]:
        """Ask for one path after the other; a referee that takes too long is ended, and so is the test."""
        ending = Timer(ANSWER_SECONDS, self._process.kill)
        ending.start()
        try:
            return [self._verdict(path) for path in paths]
        finally:
            ending.cancel()

    def _verdict(self, path: Path) -> str:
        asked, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        asked.write(f"{path}\n")
        asked.flush()
        verdict = answers.readline()
        if not verdict:
            raise AssertionError(f"the referee ended at {path.name}")
        return verdict.rstrip("\n")

    def close(self) -> None:
        """Let it end: its input is over."""
        _pipe(self._process.stdin).close()
        self._process.wait(timeout=30)
        _pipe(self._process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
