"""`overread hl7 send`: files to a listener, one message at a time, each answer in words."""

import argparse
import asyncio
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from uuid import uuid4

from overread.cli.mllp_line import Address, Heard, Line, address, client_tls, connected
from overread.contracts.errors import OverreadError
from overread.protocols.hl7.acknowledgement import Acknowledgment
from overread.protocols.hl7.code_tables import meaning
from overread.protocols.hl7.explain import printable
from overread.protocols.hl7.message_files import as_sent, cut
from overread.protocols.hl7.resend import readdressed
from overread.protocols.hl7.tokenise import read_header

WAIT_SECONDS = 30.0
MOST_MESSAGES = 1_000_000

EXAMPLES = """\
examples:
  overread hl7 send order.hl7 --to mllp://127.0.0.1:2575
  overread hl7 send day/*.hl7 --to HOST:2575 --new-control-ids     a second time, and not as repeats
  overread hl7 send order.hl7 --to HOST:2575 --count 100 --rate 10 --new-control-ids --times
  overread hl7 send order.hl7 --to mllps://HOST:2576 --ca site-ca.pem --certificate his.pem --key his.key

The same bytes under the same control ID (MSH-10) are a repeat: the listener gives its first answer again.
Ends with 0 when every message was taken, with 1 when one was refused or not answered.
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "send",
        help="send files to a listener and say each answer in words",
        description="Sends every message of the files over MLLP, waits for each answer before the next message, and "
        "says it in words: code, condition, place and text. Segment ends go out as CR, whatever the file has; "
        "--as-is sends the file's own bytes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE", help="one message or many")
    add_target(parser)
    parser.add_argument("--count", type=int, default=1, metavar="N", help="go through the files N times (default: 1)")
    parser.add_argument("--rate", type=float, metavar="R", help="at most R messages a second (default: as answered)")
    parser.add_argument("--new-control-ids", action="store_true", help="give each message an MSH-10 of its own")
    parser.add_argument("--as-is", action="store_true", help="send the bytes of the file, line ends included")
    parser.add_argument("--times", action="store_true", help="say how long each answer took, and a summary")
    parser.set_defaults(run=run)


def add_target(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """Add `--to` and what TLS needs."""
    parser.add_argument("--to", required=is_required, metavar="mllp://HOST:PORT", help="the listener; mllps:// for TLS")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="with TLS: whose certificates are trusted (PEM)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="with TLS: our certificate, if asked for")
    parser.add_argument("--key", type=Path, metavar="FILE", help="with TLS: its key, if in another file")
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for an answer (default: 30)",
    )


def run(told: argparse.Namespace) -> int:
    """Send, and say how it went; 1 when something was not taken."""
    messages = list(messages_of(told.file, is_as_is=told.as_is))
    if not 1 <= told.count * len(messages) <= MOST_MESSAGES or (told.rate is not None and told.rate <= 0):
        raise OverreadError(
            f"--count and --rate must be above 0, and at most {MOST_MESSAGES} messages are sent at once"
        )
    return asyncio.run(_send(told, messages))


def messages_of(files: Sequence[Path], *, is_as_is: bool = False) -> Iterator[bytes]:
    """Yield every message of the files; `OverreadError` for a file without one."""
    for file in files:
        found = cut(file.read_bytes()).messages
        if not found:
            raise OverreadError(f"{file} holds no message: an HL7 message begins with MSH|")
        yield from (message if is_as_is else as_sent(message) for message in found)


class ControlIds:
    """Control IDs that nobody has used: of this run, and counted (MSH-10 holds 20 characters, HL7 v2.5.1, 2.15.9.10)."""

    def __init__(self) -> None:
        self._run = uuid4().hex[:8].upper()
        self._given = 0

    def __call__(self) -> str:
        """Return the next one."""
        self._given += 1
        return f"OVR{self._run}{self._given:07d}"


async def _send(told: argparse.Namespace, messages: Sequence[bytes]) -> int:
    to = address(told.to)
    heard: list[Heard] = []
    async with connected(to, tls=tls_of(told, to), wait_seconds=told.wait) as line:
        await _send_all(told, messages, line, heard)
    if told.times:
        sys.stdout.write(f"{summary(heard)}\n")
    return 0 if all(each.is_taken for each in heard) else 1


def tls_of(told: argparse.Namespace, to: Address) -> ssl.SSLContext | None:
    """Return what TLS the options ask for, None for a plain line."""
    if to.uses_tls:
        return client_tls(told.ca, told.certificate, told.key)
    if told.ca or told.certificate or told.key:
        raise OverreadError("--ca, --certificate and --key are for TLS: write mllps://HOST:PORT")
    return None


async def _send_all(told: argparse.Namespace, messages: Sequence[bytes], line: Line, heard: list[Heard]) -> None:
    control_ids, began = ControlIds(), monotonic()
    for number, message in enumerate(raw for _ in range(told.count) for raw in messages):
        if told.rate:
            await asyncio.sleep(max(0.0, began + number / told.rate - monotonic()))
        raw = readdressed(message, control_id=control_ids()) if told.new_control_ids else message
        heard.append(await line.exchange(raw))
        sys.stdout.write(f"{said(raw, heard[-1], has_times=told.times)}\n")
        sys.stdout.flush()


def said(raw: bytes, heard: Heard, *, has_times: bool) -> str:
    """Say one exchange in a line: which message, and what the receiver said to it."""
    header = read_header(raw)
    kind = f"{header.message_code}^{header.trigger_event}".strip("^") or "MSH-9 is empty"
    name = f"{printable(header.message_control_id)}  {printable(kind)}"
    took = f"  ({heard.seconds * 1000:.1f} ms)" if has_times else ""
    return f"{name}  {answer_in_words(heard.answer) if heard.answer else heard.silence}{took}"


def answer_in_words(answer: Acknowledgment) -> str:
    """Say an answer: its code, and of a refusal the condition, the place and the receiver's own words."""
    words = [f"{answer.code.value}: {meaning('HL70008', answer.code.value)}"]
    if answer.error_condition:
        known = meaning("HL70357", answer.error_condition)
        words.append(f"condition {printable(answer.error_condition)}{f' ({known})' if known else ''}")
    if answer.error_location:
        words.append(f"at {printable(answer.error_location)}")
    if answer.text:
        words.append(f"it says: {printable(answer.text)}")
    return "; ".join(words)


def summary(heard: Sequence[Heard]) -> str:
    """Say how many were taken, and how long answers took."""
    seconds = sorted(each.seconds for each in heard)
    taken = sum(1 for each in heard if each.is_taken)
    at = {name: seconds[min(len(seconds) - 1, len(seconds) * part // 100)] * 1000 for name, part in _PARTS.items()}
    times = ", ".join(f"{name} {value:.1f} ms" for name, value in at.items())
    return f"{taken} of {len(heard)} taken; answers: {times}"


_PARTS = {"median": 50, "95 of 100 within": 95, "longest": 100}
