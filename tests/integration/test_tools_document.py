"""The chapter *Tools* of docs/hl7.md: every command is typed, and shows what stands beside it."""

import asyncio
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from overread.embedded.places import CHECKOUT
from overread.hl7_intake.listener import Listener
from overread.hl7_intake.open_link import OpenLink
from tests.fakes.hl7_intake import FakeBroker, an_intake
from tests.fakes.mllp_lines import HOST

_CHAPTER = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition("\n## Tools\n")[2].partition("\n## ")[0]
_BLOCKS = re.findall(r"^```sh\n(.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
_STAYS = "in a terminal of its own"
_NEEDS_A_STACK = ("hl7 watch", "links --running", "dead ", "wrong.hl7 > mended.hl7")
"""Typed by integration/test_hl7_watch.py against a stack's broker, and by e2e/test_messages_document.py."""

LISTENER, FREE_PORTS = "2575", ("2599", "2580")
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Typed:
    """One line of the chapter and what it says one will see."""

    command: str
    sees: str


def lines() -> Iterator[Typed]:
    """Yield each command with the comment beside it."""
    for block in _BLOCKS:
        for line in block.splitlines():
            command, _, sees = line.partition("  # ")
            yield Typed(command.strip(), sees.strip())


def shown(typed: Typed) -> str:
    """Return what must be in the output: a comment that quotes it; one that only explains is not looked for."""
    return typed.sees if re.match(r"[A-Z]{2,}|\d|\[|change:", typed.sees) else ""


async def a_free_port() -> str:
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return str(port)


@asynccontextmanager
async def a_listener(broker: FakeBroker) -> AsyncIterator[str]:
    """Our own listener with a broker in memory; yields its port."""
    listener = Listener([OpenLink(an_intake(broker))])
    await listener.start(HOST, 0)
    try:
        yield str(listener.port)
    finally:
        await listener.stop()


async def begun(command: str, ports: dict[str, str], folder: Path) -> Process:
    """Type a command into a shell, its ports replaced by ours."""
    moved = re.sub("|".join(ports), lambda found: ports[found[0]], command)
    return await asyncio.create_subprocess_exec(
        "bash", "-c", f"set -o pipefail; {moved}", cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )


async def listens(port: str) -> None:
    async with asyncio.timeout(COMMAND_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, int(port))
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


@pytest.mark.timeout(240)
async def test_every_command_of_the_chapter_does_what_stands_beside_it(tmp_path: Path) -> None:
    """REQ-TOOL-07: an engineer types the chapter from its beginning to its end."""
    run = tmp_path / "run"
    run.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -m overread.cli.app "$@"\n', encoding="utf-8")
    run.chmod(0o755)
    staying: list[Process] = []
    broker = FakeBroker()
    async with a_listener(broker) as listening_port:
        ports = {LISTENER: listening_port, **{port: await a_free_port() for port in FREE_PORTS}}
        for typed in lines():
            if any(part in typed.command for part in _NEEDS_A_STACK):
                continue
            process = await begun(typed.command, ports, tmp_path)
            if typed.sees == _STAYS:
                staying.append(process)
                await listens(ports[re.search(r"--port (\d+)", typed.command)[1]])  # type: ignore[index]
                continue
            output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
            said = output.decode()
            assert (typed.command, process.returncode, shown(typed) in said) == (typed.command, 0, True), said
        for process in staying:
            assert await asyncio.wait_for(process.wait(), COMMAND_SECONDS) == 0

    assert len(broker.records) == 2 + 3 + 2 + 8


def test_the_chapter_is_not_empty() -> None:
    """A heading that is renamed must not make the test pass by finding nothing."""
    assert sum("overread" in typed.command for typed in lines()) >= 13
