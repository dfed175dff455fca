"""`overread simulate emr`: a receiver of results that answers as it is told to, and prints what came."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from overread.cli.hl7_record import add_bounds, bounded
from overread.cli.hospital_time import local
from overread.cli.mllp_line import listening
from overread.cli.recordings import Recording
from overread.protocols.hl7.acknowledgement import acknowledge, code_for, mode_of, wants_accept_acknowledgment
from overread.protocols.hl7.code_tables import meaning
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.explain import explain, printable
from overread.protocols.hl7.tokenise import Message, read_header, tokenise
from overread.runtime.clock import utc_now

ANSWERS = {
    "AA": None,
    "AE": HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, None, "The simulated EMR was told to refuse."),
    "AR": HL7Error(MessageErrorCondition.UNSUPPORTED_MESSAGE_TYPE, None, "The simulated EMR was told to reject."),
}

EXAMPLES = """\
examples:
  overread simulate emr --port 2580                          with ./run up --emr mllp://127.0.0.1:2580
  overread simulate emr --port 2580 --answer AE              what becomes of a result that is refused
  overread simulate emr --port 2580 --answer none            of one that nobody answers
  overread simulate emr --port 2580 --delay 5 --into got     answers late, keeps each message
"""


def add_to(systems: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the system."""
    parser = systems.add_parser(
        "emr",
        help="an EMR that takes results and prints what came",
        description="Listens for results, answers each as told, and prints type, status and observations, patients "
        "hidden. A sender in enhanced mode gets CA, CE or CR for AA, AE or AR.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=2580, metavar="N", help="where to listen (default: 2580)")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="on which address (default: loopback)")
    parser.add_argument("--answer", choices=[*ANSWERS, "none"], default="AA", help="what to say (default: AA)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="wait S seconds before each answer")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="keep each message as a file, for you alone")
    parser.add_argument("--show-patient", action="store_true", help="print every field, patients too")
    add_bounds(parser, "messages")
    parser.set_defaults(run=run)


class Emr:
    """Takes messages; `done` is set when there were as many as were asked for."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._told = told
        self._recording = Recording(told.into) if told.into else None
        self._came = 0
        self.done = asyncio.Event()

    async def take(self, raw: bytes, _connection: int) -> bytes | None:
        """Print a message, keep it where asked to, and return the answer, None for silence."""
        if self._recording:
            self._recording.keep(raw, utc_now())
        sys.stdout.writelines(f"{line}\n" for line in lines_of(raw, shows_patient=self._told.show_patient))
        sys.stdout.flush()
        self._came += 1
        if self._told.limit is not None and self._came >= self._told.limit:
            asyncio.get_running_loop().call_later(self._told.delay, self.done.set)
        await asyncio.sleep(self._told.delay)
        return self._answer(raw)

    def _answer(self, raw: bytes) -> bytes | None:
        header = read_header(raw)
        if self._told.answer == "none":
            return None
        error = ANSWERS[self._told.answer]
        code = code_for(mode_of(header), error)
        if not wants_accept_acknowledgment(header, code):
            return None
        return acknowledge(
            header, code, now=utc_now(), control_id=uuid4().hex[:20], error=error, sending_application="EMR"
        )


def lines_of(raw: bytes, *, shows_patient: bool) -> Iterator[str]:
    """Yield what came: the message in a line, then each field where patients are to be shown, else its observations."""
    try:
        message = tokenise(raw, "utf-8")
    except HL7Error as error:
        yield f"{local(utc_now()):%H:%M:%S}  a message that can't be read: {error.sentence}"
        return
    yield f"{local(utc_now()):%H:%M:%S}  {_summary(message)}"
    if shows_patient:
        for segment in explain(message, shows_patient=True):
            yield from (f"    {field.place:8}{field.name:38}  {'; '.join(field.values)}" for field in segment.fields)


def _summary(message: Message) -> str:
    header, obr = message.header, message.segment("OBR")
    status = obr.text(25) if obr else ""
    known = f", OBR-25 {status} ({meaning('HL70123', status)})" if status else ""
    accession = f", accession {obr.text(18)}" if obr and obr.text(18) else ""
    observations = len(message.segments("OBX"))
    said = f"{header.message_code}^{header.trigger_event}  {header.message_control_id}{known}{accession}"
    return printable(f"{said}, {observations} observations")


def run(told: argparse.Namespace) -> int:
    """Listen until the bound, or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_listen(told))
    return 0


async def _listen(told: argparse.Namespace) -> None:
    emr = Emr(told)
    async with listening(told.host, told.port, emr.take) as port:
        sys.stderr.write(f"EMR listening on {told.host}:{port}, answers {told.answer}; Ctrl-C ends it\n")
        await bounded(told.seconds, emr.done)
