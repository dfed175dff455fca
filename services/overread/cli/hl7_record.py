"""`overread hl7 record`: takes a sender's messages for a while, or stands between it and its receiver, and keeps them."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from overread.cli.hl7_propose import print_proposal
from overread.cli.mllp_line import Takes, address, listening
from overread.cli.mllp_passing import passing_through
from overread.cli.recordings import Recording
from overread.contracts.errors import OverreadError
from overread.protocols.hl7.acknowledgement import acknowledge, code_for, mode_of, wants_accept_acknowledgment
from overread.protocols.hl7.tokenise import read_header
from overread.runtime.clock import utc_now

EXAMPLES = """\
examples:
  overread hl7 record --port 2599 --into day                          answers "taken", gives them to nobody
  overread hl7 record --port 2599 --into day --forward RIS:2575       stands between the HIS and its RIS
  overread hl7 record --port 2599 --into day --seconds 28800          one working day

Point the sender to this port. The folder holds patients: its files are for you alone (0600); delete it afterwards.
At the end the mapping is proposed; `overread hl7 propose day` says it again, `overread hl7 replay day` sends it again.
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "record",
        help="keep what a sender sends, then propose its link",
        description="Listens as a receiver would and keeps each message as it came, with its time. Alone it answers "
        "each message as taken. With --forward every byte goes on to the real receiver, and its answers come back.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, metavar="N", help="where to listen")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="on which address (default: loopback)")
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument("--forward", metavar="HOST:PORT", help="the receiver behind us")
    add_bounds(parser, "messages")
    parser.set_defaults(run=run)


def add_bounds(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--limit N` and `--seconds S`; without them Ctrl-C ends it."""
    parser.add_argument("--limit", type=int, metavar="N", help=f"end after N {what}")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after S seconds (otherwise: Ctrl-C)")


async def bounded(seconds: float | None, done: asyncio.Event) -> None:
    """Return when it is done, or when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()


def run(told: argparse.Namespace) -> int:
    """Record until the end, then propose."""
    recording = Recording(told.into)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_record(told, recording))
    sys.stderr.write(f"{recording.messages} messages in {told.into}\n")
    if recording.messages:
        print_proposal(told.into)
    return 0


async def _record(told: argparse.Namespace, recording: Recording) -> None:
    done = asyncio.Event()

    def noted() -> None:
        if told.limit is not None and recording.messages >= told.limit:
            done.set()

    if told.forward:
        behind = address(told.forward)
        if behind.uses_tls:
            raise OverreadError("--forward passes bytes on as they come: name a plain listener, mllp://HOST:PORT")
        async with passing_through(told.host, told.port, behind, recording, noted) as port:
            await _until_done(told, port, done)
    else:
        async with listening(told.host, told.port, answering(recording, noted)) as port:
            await _until_done(told, port, done)


async def _until_done(told: argparse.Namespace, port: int, done: asyncio.Event) -> None:
    sys.stderr.write(f"recording on {told.host}:{port} into {told.into}; Ctrl-C ends it\n")
    await bounded(told.seconds, done)


def answering(recording: Recording, noted: Callable[[], None]) -> Takes:
    """Return what keeps a message and then answers that it was taken, as its MSH-15 asks."""

    async def takes(raw: bytes, _connection: int) -> bytes | None:
        recording.keep(raw, utc_now())
        header = read_header(raw)
        code = code_for(mode_of(header))
        answer = acknowledge(header, code, now=utc_now(), control_id=uuid4().hex[:20])
        asyncio.get_running_loop().call_soon(noted)
        return answer if wants_accept_acknowledgment(header, code) else None

    return takes
