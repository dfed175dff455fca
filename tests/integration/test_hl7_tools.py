"""The interface engineer's tools on real sockets: sending, recording, passing on and replaying, against our own intake."""

import asyncio
import re
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hl7.mllp import open_hl7_connection

from overread.cli import app
from overread.cli.mllp_line import listening
from overread.hl7_intake.listener import Listener
from overread.hl7_intake.open_link import OpenLink
from overread.protocols import mllp
from overread.runtime.tls import server_context
from tests.builders.hl7 import an_omi, an_orm
from tests.fakes.hl7_intake import FakeBroker, an_intake
from tests.fakes.mllp_lines import HOST, Authority


@asynccontextmanager
async def a_receiver(broker: FakeBroker, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Our own listener behind a port, with a broker in memory."""
    listener = Listener([OpenLink(an_intake(broker))])
    await listener.start(HOST, 0, tls)
    try:
        yield listener.port
    finally:
        await listener.stop()


async def typed(*words: str | Path) -> int:
    """Type a command, and return how it ended."""
    return await asyncio.to_thread(app.main, [str(word) for word in words])


def a_file(folder: Path, *messages: bytes) -> Path:
    path = folder / "messages.hl7"
    path.write_bytes(b"".join(messages))
    return path


def control_ids(broker: FakeBroker) -> list[str]:
    return [event.data.message_control_id for event in broker.events]


async def test_sending_says_each_answer_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-03: code, condition, place and text; the end is 1 when one message of several was refused."""
    file = a_file(tmp_path, an_omi(control_id="A1"), an_orm(control_id="A2", without="PID-3"))
    async with a_receiver(FakeBroker()) as port:
        status = await typed("hl7", "send", file, "--to", f"mllp://{HOST}:{port}", "--times")

    said = capsys.readouterr().out.splitlines()
    taken, refused, summary = (line for line in said if not line.startswith("{"))  # without the intake's log
    assert status == 1
    assert taken.startswith("A1  OMI^O23  CA: kept safely")
    assert "A2  ORM^O01  AE: refused" in refused
    assert "condition 101 (required field missing); at PID^1^3; it says: The patient identifier list" in refused
    assert summary.startswith("1 of 2 taken")


async def test_sending_again_is_a_repeat_and_new_control_ids_are_not(tmp_path: Path) -> None:
    """The same bytes get their first answer; three times with new control IDs are three messages."""
    broker, file = FakeBroker(), a_file(tmp_path, an_omi(control_id="A1").replace(b"\r", b"\n"))
    async with a_receiver(broker) as port:
        to = ("--to", f"{HOST}:{port}")
        await typed("hl7", "send", file, *to, "--count", "2")
        status = await typed("hl7", "send", file, *to, "--count", "3", "--new-control-ids", "--rate", "1000")

    kept = control_ids(broker)
    assert status == 0
    assert (kept[0], len(kept), len(set(kept))) == ("A1", 4, 4)
    assert all(re.fullmatch(r"OVR[0-9A-F]{8}\d{7}", name) for name in kept[1:])


@pytest.mark.parametrize(
    ("modes", "words", "status"),
    [("NE|NE", "no answer is asked for (MSH-15 is NE)", 0), ("AL|NE", "CA: kept safely", 0)],
)
async def test_a_sender_that_wants_no_answer_waits_for_none(
    modes: str, words: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """HL7 v2.5.1, 2.9.3: MSH-15 says which answers come on the line."""
    accept, application = modes.split("|")
    file = a_file(tmp_path, an_omi(put={"MSH-15": accept, "MSH-16": application}))
    async with a_receiver(FakeBroker()) as port:
        ended = await typed("hl7", "send", file, "--to", f"{HOST}:{port}")

    assert (ended, words in capsys.readouterr().out) == (status, True)


async def test_silence_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver that says nothing has taken nothing."""

    async def says_nothing(_raw: bytes, _connection: int) -> None:
        return None

    async with listening(HOST, 0, says_nothing) as port:
        status = await typed("hl7", "send", a_file(tmp_path, an_orm()), "--to", f"{HOST}:{port}", "--wait", "0.1")

    assert (status, "no answer came within 0.1 s" in capsys.readouterr().out) == (1, True)


async def test_who_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is one sentence with what to look at."""
    async with a_receiver(FakeBroker()) as port:
        pass  # nobody listens on it any more

    status = await typed("hl7", "send", a_file(tmp_path, an_orm()), "--to", f"{HOST}:{port}")

    assert (status, f"no connection to mllp://{HOST}:{port}" in capsys.readouterr().err) == (1, True)


async def test_tls_with_a_certificate_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-03: mllps:// trusts --ca and shows --certificate; without them the sentence names the options."""
    authority, file = Authority(tmp_path / "ca"), a_file(tmp_path, an_omi())
    certificate, key = authority.issue("sender")
    tls = server_context(*authority.issue("listener"), authority.root)
    async with a_receiver(FakeBroker(), tls=tls) as port:
        to = ("--to", f"mllps://localhost:{port}")
        with_all = await typed(
            "hl7", "send", file, *to, "--ca", authority.root, "--certificate", certificate, "--key", key
        )
        stranger = await typed("hl7", "send", file, *to)
        no_certificate = await typed("hl7", "send", file, *to, "--ca", authority.root)

    complaints = capsys.readouterr().err
    assert (with_all, stranger, no_certificate) == (0, 1, 1)
    assert "check --ca, --certificate and --key" in complaints
    assert "it may want a certificate (--certificate)" in complaints  # TLS 1.3: said only after the handshake


async def wait_for_port(capsys: pytest.CaptureFixture[str]) -> int:
    """Return the port that the recorder says it listens on."""
    said = ""
    async with asyncio.timeout(10):
        while not (found := re.search(r"recording on [^:]+:(\d+)", said)):
            said += capsys.readouterr().err
            await asyncio.sleep(0.01)
    return int(found[1])


async def sent_by_another(port: int, *messages: bytes) -> list[str]:
    """Send by python-hl7's client; return MSA-1 of each answer."""
    reader, writer = await open_hl7_connection(HOST, port, encoding="utf-8")
    codes = []
    for message in messages:
        writer.write(mllp.encode(message))
        await writer.drain()
        codes.append(str((await asyncio.wait_for(reader.readmessage(), 10)).segment("MSA")[1]))
    writer.close()
    return codes


async def test_a_recorded_day_is_kept_whole_and_replayed_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-04: each message byte for byte, for its owner alone; replayed with new control IDs to our intake."""
    day, messages = tmp_path / "day", [an_omi(control_id="D1"), an_orm(control_id="D2")]
    recorder = asyncio.create_task(
        typed("hl7", "record", "--port", "0", "--into", day, "--limit", "2", "--seconds", "20")
    )
    codes = await sent_by_another(await wait_for_port(capsys), *messages)
    ended = await recorder
    proposal = capsys.readouterr().out
    broker = FakeBroker()
    async with a_receiver(broker) as port:
        replayed = await typed("hl7", "replay", day, "--to", f"{HOST}:{port}", "--speed", "0")

    files = sorted(day.iterdir())
    assert (codes, ended, replayed) == (["CA", "AA"], 0, 0)
    assert [file.read_bytes() for file in files] == messages
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert ("[[link]]" in proposal, 'allowed_applications = ["HIS|BVX"]' in proposal) == (True, True)
    assert (len(broker.records), "D1" in control_ids(broker)) == (2, False)


async def test_a_recorder_alone_answers_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-09: AA for a sender in enhanced mode that knows no CA; of a script each message gets its own."""
    words = ("--port", "0", "--into", tmp_path / "day", "--answer", "AA,AE,AA", "--limit", "3", "--seconds", "20")
    recorder = asyncio.create_task(typed("hl7", "record", *words))
    codes = await sent_by_another(
        await wait_for_port(capsys), an_omi(control_id="D1"), an_omi(control_id="D2"), an_omi(control_id="D3")
    )

    assert (codes, await recorder) == (["AA", "AE", "AA"], 0)


async def test_a_recorder_between_two_systems_is_not_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-04: with --forward the answers are the receiver's own, and both directions are kept."""
    day, broker = tmp_path / "day", FakeBroker()
    async with a_receiver(broker) as behind:
        words = ("--port", "0", "--into", day, "--forward", f"{HOST}:{behind}", "--limit", "2", "--seconds", "20")
        recorder = asyncio.create_task(typed("hl7", "record", *words))
        codes = await sent_by_another(
            await wait_for_port(capsys), an_orm(control_id="P1"), an_orm(control_id="P2", without="PID-3")
        )
        await recorder

    kinds = [file.suffix for file in sorted(day.iterdir())]
    assert (codes, control_ids(broker)) == (["AA", "AE"], ["P1"])
    assert kinds == [".hl7", ".answer", ".hl7", ".answer"]
