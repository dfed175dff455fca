"""What a receiver of the command line says to each message: as it asks, or as a script of answers says."""

import argparse
from collections.abc import Callable
from uuid import uuid4

from overread.contracts.errors import OverreadError
from overread.protocols.hl7.acknowledgement import (
    AcknowledgmentCode,
    acknowledge,
    code_for,
    mode_of,
    wants_accept_acknowledgment,
)
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import read_header
from overread.runtime.clock import utc_now

SILENCE = "none"
AS_ASKED = "asked"
WORDS = (*(code.value for code in AcknowledgmentCode), SILENCE, AS_ASKED)

Answering = Callable[[bytes], bytes | None]
"""Returns the answer to a message, None for silence."""

_REFUSED = HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, None, "This receiver was told to refuse.")
_REJECTED = HL7Error(MessageErrorCondition.UNSUPPORTED_MESSAGE_TYPE, None, "This receiver was told to reject.")
_REASONS = {"E": _REFUSED, "R": _REJECTED}


def script(text: str) -> tuple[str, ...]:
    """Read `AA`, `none`, or several as `CA,AE,none`: the first message gets the first, and the last goes on."""
    words = tuple(word.strip() for word in text.split(","))
    steps = tuple(word.lower() if word.lower() in {SILENCE, AS_ASKED} else word.upper() for word in words)
    if wrong := [word or "nothing" for word, step in zip(words, steps, strict=True) if step not in WORDS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]} is no answer: write {', '.join(WORDS[:-1])} or {AS_ASKED}")
    return steps


class Script:
    """Answers message after message; an answer that is named is given whatever MSH-15 and MSH-16 say."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        if not steps:
            raise OverreadError("a script of answers has one at least")
        self._steps = list(steps)

    def __call__(self, raw: bytes) -> bytes | None:
        """Answer the next message."""
        step = self._steps[0] if len(self._steps) == 1 else self._steps.pop(0)
        header = read_header(raw)
        if step == SILENCE:
            return None
        if step == AS_ASKED:
            code = code_for(mode_of(header))
            if not wants_accept_acknowledgment(header, code):
                return None
        else:
            code = AcknowledgmentCode(step)
        return acknowledge(header, code, now=utc_now(), control_id=uuid4().hex[:20], error=_REASONS.get(code.value[1]))
