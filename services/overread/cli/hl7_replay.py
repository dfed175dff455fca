"""`overread hl7 replay`: a recorded day once more, at its own pace or faster, under new control IDs."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from overread.cli.hl7_send import ControlIds, add_target, said, tls_of
from overread.cli.mllp_line import Line, address, connected
from overread.cli.recordings import Recorded, recorded
from overread.contracts.errors import OverreadError
from overread.protocols.hl7.message_files import as_sent
from overread.protocols.hl7.resend import readdressed

EXAMPLES = """\
examples:
  overread hl7 replay day --to mllp://127.0.0.1:2575                 as it was: a day takes a day
  overread hl7 replay day --to mllp://127.0.0.1:2575 --speed 600     a day in two and a half minutes
  overread hl7 replay day --to mllp://127.0.0.1:2575 --speed 0       as fast as it is answered
  overread hl7 replay day --to mllp://127.0.0.1:2575 --same-control-ids   what was sent before is a repeat

Send a recorded day to a listener for tests: the messages are those of patients, and MSH-11 is theirs too.
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "replay",
        help="send a recorded day again, offline, at any speed",
        description="Sends recorded messages in their order and with the pauses between them, which --speed divides. "
        "The times are those of the recording, else of MSH-7. Each message gets a new control ID. What is refused is "
        "said; at the end how many were taken.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", type=Path, metavar="FILE|FOLDER", help="what `overread hl7 record` kept, or a file")
    add_target(parser)
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="X times as fast; 0: without pauses")
    parser.add_argument("--same-control-ids", action="store_true", help="keep MSH-10")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Replay; 1 when a message was refused or not answered."""
    if told.speed < 0:
        raise OverreadError("--speed must be 0 or more: 1 is as it was, 60 makes an hour a minute")
    return asyncio.run(_replay(told, recorded(told.place)))


def waits_of(messages: Sequence[Recorded], speed: float) -> list[float]:
    """Return when each message is to be sent, in seconds after the first; one without a time follows at once."""
    times = [each.came_at for each in messages]
    first = next((time for time in times if time is not None), None)
    waits: list[float] = []
    for time in times:
        since = (time - first).total_seconds() if time is not None and first is not None else 0.0
        waits.append(max(waits[-1] if waits else 0.0, since / speed if speed else 0.0))
    return waits


async def _replay(told: argparse.Namespace, messages: Sequence[Recorded]) -> int:
    to = address(told.to)
    outcomes: Counter[str] = Counter()
    async with connected(to, tls=tls_of(told, to), wait_seconds=told.wait) as line:
        taken = await _send_all(told, messages, line, outcomes)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    sys.stdout.write(f"{taken} of {len(messages)} taken ({counts})\n")
    return 0 if taken == len(messages) else 1


async def _send_all(told: argparse.Namespace, messages: Sequence[Recorded], line: Line, outcomes: Counter[str]) -> int:
    control_ids, began, taken = ControlIds(), monotonic(), 0
    for each, wait in zip(messages, waits_of(messages, told.speed), strict=True):
        await asyncio.sleep(max(0.0, began + wait - monotonic()))
        raw = each.raw if told.same_control_ids else readdressed(each.raw, control_id=control_ids())
        heard = await line.exchange(raw if b"\r" in raw else as_sent(raw))
        taken += heard.is_taken
        outcomes[heard.answer.code.value if heard.answer else "without an answer"] += 1
        if not heard.is_taken:
            sys.stdout.write(f"{said(raw, heard, has_times=False)}\n")
    return taken
