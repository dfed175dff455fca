"""Archives that other people wrote, on free ports of loopback: DCMTK's storescp, and Orthanc with its index and its REST."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.peers import wait_until

START_SECONDS, STOP_SECONDS = 30.0, 5.0
SOCKETS, LISTENING = ("/proc/net/tcp", "/proc/net/tcp6"), "0A"
ORTHANC_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
"""Debian puts it where only root's PATH leads."""


@dataclass(frozen=True)
class Storescp:
    """DCMTK's receiver; it answers to any called AE and writes what it got into a folder, bit for bit."""

    port: int
    folder: Path
    called_ae_title: str = "STORESCP"

    def kept(self) -> list[bytes]:
        """Return the files that it holds."""
        return [path.read_bytes() for path in sorted(self.folder.iterdir())]


@contextmanager
def running_storescp(folder: Path, *options: str) -> Iterator[Storescp]:
    """Run storescp with `options`, or skip with a word."""
    program = shutil.which("storescp") or pytest.skip("no storescp here (Debian package dcmtk): it was not asked")
    archive = Storescp(free_port(), folder / "received")
    archive.folder.mkdir(exist_ok=True)
    words = [program, "+B", *options, "-od", str(archive.folder), str(archive.port)]
    with _running(words, folder / "storescp.log") as process:
        wait_until(lambda: is_listening(process, archive.port), "storescp", START_SECONDS)
        yield archive


@dataclass(frozen=True)
class Orthanc:
    """An archive with an index: what it holds is asked for over its REST API."""

    port: int
    url: str
    called_ae_title: str = "ORTHANC"

    def ask(self, path: str) -> Any:
        """Return what it says of `path`."""
        return httpx.get(f"{self.url}{path}", timeout=30).raise_for_status().json()

    def kept(self) -> list[bytes]:
        """Return the files that it holds."""
        return [self._file(instance) for instance in self.ask("/instances")]

    def _file(self, instance: str) -> bytes:
        return httpx.get(f"{self.url}/instances/{instance}/file", timeout=30).raise_for_status().content


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run Orthanc with its storage in `folder`, or skip with a word."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path=ORTHANC_PLACES)
    if program is None:
        pytest.skip("no Orthanc here (Debian package orthanc): it was not asked")
    port, http_port = free_port(), free_port()
    archive = Orthanc(port, f"http://127.0.0.1:{http_port}")
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_settings(folder, archive, http_port)), encoding="utf-8")
    with _running([program, str(configuration)], folder / "orthanc.log") as process:
        wait_until(lambda: _is_up(process, archive), "Orthanc", START_SECONDS)
        yield archive


def _settings(folder: Path, archive: Orthanc, http_port: int) -> Mapping[str, Any]:
    """Return a configuration that lets in nobody but our own AE, and that from this machine alone."""
    return {
        "Name": "archive of one test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "TemporaryDirectory": str(folder),
        "Plugins": [],
        "Locale": "C",
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "WebDavEnabled": False,
        "DicomPort": archive.port,
        "DicomAet": archive.called_ae_title,
        "DicomCheckCalledAet": True,
        "DicomScpTimeout": 5,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {
            "overread": {"AET": "OVERREAD", "Host": "127.0.0.1", "Port": 104, "AllowStore": True},
        },
    }


@contextmanager
def _running(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of this test's own until the test has ended."""
    environment = {**os.environ, "TCP_NODELAY": "1"}  # DCMTK answers at once, whatever its build's default is
    with log.open("ab") as output, subprocess.Popen(words, stdout=output, stderr=output, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def _is_up(process: subprocess.Popen[bytes], archive: Orthanc) -> bool:
    with suppress(httpx.HTTPError):
        return is_listening(process, archive.port) and bool(archive.ask("/system"))
    return False


def is_listening(process: subprocess.Popen[bytes], port: int) -> bool:
    """Tell by the kernel's table: a connection that asks nothing is a failed association to an archive."""
    assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
    lines = [line.split() for table in SOCKETS for line in Path(table).read_text().splitlines()[1:]]
    return any(line[1].endswith(f":{port:04X}") and line[3] == LISTENING for line in lines)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
