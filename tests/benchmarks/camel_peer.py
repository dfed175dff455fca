"""The rival of `bench mllp`: Apache Camel's MLLP listener writing each message to Kafka before its acknowledgement."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overread.embedded.places import CACHE

BUILD = CACHE / "peers" / "camel-mllp-kafka"
BUILD_SECONDS = 600
START_SECONDS = 60


class NoPeer(Exception):
    """The rival can't be run here."""


def sources() -> Path:
    """Return the folder of the rival's sources: in OVERREAD_PEERS, else beside the folder of real data."""
    named, corpus = os.environ.get("OVERREAD_PEERS"), os.environ.get("OVERREAD_CORPUS")
    peers = Path(named) if named else Path(corpus).parent / "peers" if corpus else None
    if peers is None or not (peers / "camel-mllp-kafka" / "pom.xml").is_file():
        raise NoPeer("its source is not here (OVERREAD_PEERS names no folder with camel-mllp-kafka)")
    return peers / "camel-mllp-kafka"


def build() -> str:
    """Build the rival once and return its class path."""
    source = sources()
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        raise NoPeer(f"no {', no '.join(missing)} on the path")
    if not _is_built(source):
        _build(source)
    return f"{BUILD / 'target' / 'classes'}{os.pathsep}{BUILD / 'lib'}/*"


def _is_built(source: Path) -> bool:
    changed = max(file.stat().st_mtime for file in source.rglob("*") if file.is_file())
    ready = BUILD / "ready"
    return ready.is_file() and ready.stat().st_mtime >= changed


def _build(source: Path) -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    for file in (file for file in source.rglob("*") if file.is_file()):
        copy = BUILD / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    words = ["mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    built = subprocess.run(words, cwd=BUILD, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if built.returncode != 0:
        raise NoPeer(f"Maven could not build it: {(built.stdout + built.stderr).strip()[-500:]}")
    (BUILD / "ready").touch()


@contextmanager
def running(classpath: str, port: int, bootstrap: str, client_properties: Path, log: Path) -> Iterator[None]:
    """Run the rival on `port` for the time of the block."""
    words = ["java", "-cp", classpath, "Peer", str(port), bootstrap, str(client_properties)]
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
        try:
            _await_listening(process, port, log)
            yield
        finally:
            process.terminate()
            process.wait(15)


def _await_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise NoPeer(f"it did not start: {log.read_text(errors='replace').strip()[-500:]}")
