"""The documents as a newcomer works through them: their shell blocks, on ports of a test's own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from overread.embedded.places import CHECKOUT
from tests.e2e.hospital import free_offset
from tests.fakes.peers import wait_until

README, QUICK_START, CONNECT = "README.md", "docs/quick-start.md", "docs/connect-his-pacs-emr.md"
PORTS = (2575, 11112, 8080)
PEERS = (2580, 4242, 8090)
TOOLS: Mapping[str, str] = {
    **dict.fromkeys(("dcmsend", "echoscu", "storescp", "dsrdump"), "dcmtk"),
    "curl": "curl",
    "jq": "jq",
}
COMMAND_SECONDS = 120
READY_SECONDS = 120
END_SECONDS = 60
KEPT_VARIABLES = "FHIR HEAD API TOKEN AUTH ID DIGEST STEP"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(rf"(?<![\d.])({'|'.join(str(port) for port in (*PORTS, *PEERS))})(?!\d)")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands and what it says."""

    document: str
    text: str

    def __str__(self) -> str:
        """Return its first line, by which tables name it."""
        return f"{Path(self.document).stem}: {self.text.splitlines()[0]}"


def blocks(document: str, language: str = "sh") -> Iterator[Block]:
    """Yield the document's blocks of a language, in order."""
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    yield from (Block(document, body.rstrip("\n")) for kind, body in _BLOCK.findall(text) if kind == language)


def needed_tools() -> None:
    """Skip, with a word, without the programs that the documents use."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        pytest.skip(f"the documents' commands need the packages {', '.join(missing)}")


@dataclass
class Newcomer:
    """Somebody in a fresh folder who types what the documents say, one shell for all of it, others for what stays."""

    folder: Path
    offset: int
    password: str = ""
    _terminals: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have `./run` and `.venv` at hand, as in a checkout; all that is made lies in the folder."""
        (self.folder / ".venv").symlink_to(sys.prefix)
        run = self.folder / "run"
        run.write_text(f'#!/bin/sh\nexec {CHECKOUT / "run"} "$@"\n', encoding="utf-8")
        run.chmod(0o755)

    def on_own_ports(self, text: str) -> str:
        """Return what is typed, every port moved by the offset."""
        return _PORT.sub(lambda found: str(int(found[1]) + self.offset), text)

    def types(self, text: str) -> subprocess.CompletedProcess[str]:
        """Type a block into the one shell; its variables are there for the next one."""
        lines = (
            "set -eo pipefail",
            "if [ -f .variables ]; then . ./.variables; fi",
            self.on_own_ports(text),
            f"declare -p {KEPT_VARIABLES} > .variables 2> .undeclared || true",
        )
        return subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def leaves_running(self, line: str, *, until: str = "") -> None:
        """Type a line into a terminal of its own, and wait until it prints the line `until`, if one is named."""
        terminal = subprocess.Popen(
            ["bash", "-c", self.on_own_ports(line)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if until else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._terminals.append(terminal)
        if terminal.stdout is not None:
            assert any(said.strip() == until for said in terminal.stdout), f"{line} ended without {until!r}"

    def waits_for(self, *peers: int) -> None:
        """Wait until somebody listens on each port of the documents."""
        for port in peers:
            wait_until(lambda port=port: is_taken(port + self.offset), f"port {port}", 30)  # type: ignore[misc]

    def leaves(self) -> None:
        """End what runs in every terminal, the newest first."""
        for terminal in reversed(self._terminals):
            if terminal.poll() is None:
                os.killpg(terminal.pid, signal.SIGTERM)
                try:
                    terminal.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    os.killpg(terminal.pid, signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        told = {"OVERREAD_PORT_OFFSET": str(self.offset), "OVERREAD_PASSWORD": self.password}
        return {**os.environ, **told}


def offset_for_documents(first: int) -> int:
    """Return an offset at which neither a stack nor one of the documents' peers would meet anybody."""
    offset = free_offset(first)
    while any(is_taken(port + offset) for port in PEERS):
        offset = free_offset(offset + 20)
    return offset


def is_taken(port: int) -> bool:
    """Say whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
