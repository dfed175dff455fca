"""The whole intake on real Kafka with a file of links: started, edited while it runs, spoilt, and mended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from overread.embedded.stack_thread import StackThread
from overread.hl7_intake.app import make_service
from overread.hl7_intake.settings import HL7IntakeSettings
from overread.runtime.health import Health
from overread.runtime.object_store import make_root
from tests.builders.hl7 import an_omi
from tests.fakes.mllp_lines import Line, free_ports

pytestmark = pytest.mark.stack

PATIENCE_SECONDS = 15.0


@asynccontextmanager
async def an_intake(stack: StackThread, file: Path, root: Path) -> AsyncIterator[Health]:
    """Run the intake as its process would, but for signals and socket."""
    make_root(root)
    endpoints = stack.endpoints
    settings = HL7IntakeSettings(
        site_id=endpoints.site_id,
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="hl7_intake",
        kafka_password=SecretStr(endpoints.kafka_password("hl7_intake")),
        object_root=root,
        least_free_bytes=0,
        hl7_links=file,
    )
    service = make_service(settings)
    async with AsyncExitStack() as undoing:
        running = asyncio.create_task(service._start_and_run(undoing))
        try:
            yield service.health
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def told_to(health: Health, *, ready: bool) -> str:
    """Wait until readiness says so; return what it says of the links."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while bool(failing := await health.failing()) is ready:  # noqa: ASYNC110 - readiness is asked, and tells nobody
            await asyncio.sleep(0.05)
    return failing.get("links", "")


async def connected(port: int) -> Line:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return await Line.to(port)
            await asyncio.sleep(0.05)


async def is_answered(line: Line, control_id: str) -> bool:
    line.send(an_omi(control_id=control_id))
    return b"MSA|CA|%s\r" % control_id.encode() in await line.answer()


def write(file: Path, **links: int) -> None:
    file.write_text("".join(f'[[link]]\nlink_id = "{link_id}"\nport = {port}\n' for link_id, port in links.items()))


def spoil(file: Path) -> None:
    file.write_text(f"{file.read_text()}idle = 3\n")


async def test_the_file_is_followed_while_messages_go_on(stack: StackThread, tmp_path: Path) -> None:
    """REQ-LNK-02, REQ-LNK-03: a link added and taken away, a fault told and mended; the other's connection stays."""
    file = tmp_path / "links.toml"
    a_port, b_port = free_ports(2)
    write(file, followed=a_port)
    async with an_intake(stack, file, tmp_path / "objects") as health:
        await told_to(health, ready=True)
        on_a = await connected(a_port)
        assert await is_answered(on_a, "A1")

        write(file, followed=a_port, added=b_port)
        on_b = await connected(b_port)
        assert await is_answered(on_b, "B1")

        spoil(file)
        fault = await told_to(health, ready=False)
        assert await is_answered(on_a, "A2")
        assert await is_answered(on_b, "B2")

        write(file, followed=a_port)
        await told_to(health, ready=True)
        assert await on_b.is_closed()
        assert await is_answered(on_a, "A3")

    assert fault.startswith(f"{file}, line 7, link added, idle: there is no such setting; write idle_seconds")
