"""One `demo --json --keep` of the session, as somebody who just cloned the project starts it in a terminal."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from overread.embedded.profile import HTTP_PORT
from tests.e2e.hospital import OVERREAD
from tests.fakes.peers import wait_until

T = TypeVar("T")

STORY_SECONDS = 240.0
READY_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass
class DemoRun:
    """A demo that goes its way and stays; what it prints goes into files of `folder`."""

    folder: Path
    offset: int
    _ended: list[int] = field(default_factory=list)

    @property
    def out(self) -> Path:
        """Return where the demo leaves its messages."""
        return self.folder / "out"

    @property
    def url(self) -> str:
        """Return the address of its page."""
        return f"http://127.0.0.1:{HTTP_PORT + self.offset}"

    @property
    def data(self) -> Path:
        """Return the data folder that its last lines name."""
        line = next(line for line in self.said.splitlines() if "status --data" in line)
        return Path(line.split("--data")[1].strip())

    @property
    def said(self) -> str:
        """Return its progress so far."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def printed(self) -> list[str]:
        """Return the lines of standard output so far, the last one whole."""
        return (self.folder / "stdout").read_text(encoding="utf-8").split("\n")[:-1]

    @property
    def is_running(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def start(self) -> None:
        """Start it as a process of its own session, so that Ctrl-C elsewhere does not reach it."""
        environment = {**os.environ, "OVERREAD_PORT_OFFSET": str(self.offset)}
        words = [*OVERREAD, "demo", "--json", "--keep", "--out", str(self.out)]
        with (self.folder / "stdout").open("wb") as stdout, (self.folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )

    def result(self) -> dict[str, Any]:
        """Wait for the one object that tells the story."""
        wait_until(lambda: self._alive(self.printed), "the demo's story", STORY_SECONDS)
        told: dict[str, Any] = json.loads(self.printed[0])
        return told

    def until_it_stays(self) -> str:
        """Wait until it says that it stays; return all that it said."""
        wait_until(lambda: "running; Ctrl-C" in self._alive(self.said), "the demo that stays", READY_SECONDS)
        return self.said

    def _alive(self, seen: T) -> T:
        """Return what was seen while it still runs; a demo that ended has failed."""
        assert self.is_running, self.said[-3000:]
        return seen

    def worklist(self) -> list[dict[str, Any]]:
        """Return the open rows as the radiologist's page asks for them."""
        form = {"grant_type": "password", "username": "radiologist", "password": ""}
        with httpx.Client(base_url=self.url, timeout=15, trust_env=False) as client:
            token = client.post("/issuer/token", data=form).raise_for_status().json()["access_token"]
            answer = client.get("/api/v1/worklist", headers={"Authorization": f"Bearer {token}"})
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return rows

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it as its reader would; return its status."""
        if not self._ended:
            self._process.send_signal(how)
            self._ended.append(self._process.wait(STOP_SECONDS))
        return self._ended[0]

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        try:
            self.stop()
        finally:
            if self.is_running:
                self._process.kill()
                self._process.wait()
