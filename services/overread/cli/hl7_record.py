"""`overread hl7 record`: takes a sender's messages for a while, or stands between it and its receiver, and keeps them."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from overread.cli import options
from overread.cli.hl7_propose import print_proposal
from overread.cli.mllp_answers import AS_ASKED, Answering, Script, script
from overread.cli.mllp_line import Takes, address, listening
from overread.cli.mllp_passing import passing_through
from overread.cli.recordings import Recording
from overread.contracts.errors import OverreadError
from overread.runtime.clock import utc_now

EXAMPLES = """\
examples:
  overread hl7 record --port 2599 --into day                          answers "taken", gives them to nobody
  overread hl7 record --port 2599 --into day --answer AA              to a sender that waits for AA and knows no CA
  overread hl7 record --port 2599 --into day --answer AA,AE,none,AA   what does it do when it is refused, or not heard
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
        "each message as taken: CA where MSH-15 or MSH-16 asks for enhanced mode, else AA; --answer says otherwise. With "
        "--forward every byte goes on to the real receiver, and its answers come back and are kept.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=options.port, required=True, metavar="N", help="where to listen")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="on which address (default: loopback)")
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument("--forward", metavar="HOST:PORT", help="the receiver behind us")
    parser.add_argument(
        "--answer",
        type=script,
        metavar="CODES",
        help="what to say: AA, CA, AE, AR, CE, CR, none or asked (as the message asks, the default); of several with "
        "commas between them each message gets the next, and the last goes on",
    )
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
    if told.forward and told.answer:
        raise OverreadError("--forward brings the receiver's own answers: leave --answer out, or --forward")
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
        answers = Script(told.answer or (AS_ASKED,))
        async with listening(told.host, told.port, answering(recording, noted, answers)) as port:
            await _until_done(told, port, done)


async def _until_done(told: argparse.Namespace, port: int, done: asyncio.Event) -> None:
    sys.stderr.write(f"recording on {told.host}:{port} into {told.into}; Ctrl-C ends it\n")
    await bounded(told.seconds, done)


def answering(recording: Recording, noted: Callable[[], None], answers: Answering) -> Takes:
    """Return what keeps a message and then answers it."""

    async def takes(raw: bytes, _connection: int) -> bytes | None:
        recording.keep(raw, utc_now())
        asyncio.get_running_loop().call_soon(noted)
        return answers(raw)

    return takes
