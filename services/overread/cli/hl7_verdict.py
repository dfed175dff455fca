"""What the listener would say to a message: judged by the intake's own rules, so that no tool ever disagrees with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from overread.hl7_intake.admission import allows_application
from overread.hl7_intake.incoming import LinkRules
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import read_header
from overread.runtime.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer's code, and for a refused message why; `is_answered` is false when the sender wants no answer."""

    code: AcknowledgmentCode
    error: HL7Error | None
    is_answered: bool


class Judge:
    """One link's rules, without its memory: a repeat or a reused control ID is not seen."""

    def __init__(self, link: Link, settings: ServiceSettings) -> None:
        self.link = link
        self.time_zone = settings.time_zone
        self._rules = LinkRules(settings.site_id, link, settings.time_zone)

    def __call__(self, raw: bytes, now: datetime) -> Verdict:
        """Judge one message as it would come on the line."""
        try:
            self._check(raw, now)
        except HL7Error as error:
            return self._verdict(raw, error)
        return self._verdict(raw, None)

    def _check(self, raw: bytes, now: datetime) -> None:
        if len(raw) > self.link.maximum_frame_bytes:
            sentence = f"The message is larger than this link takes ({self.link.maximum_frame_bytes} bytes)."
            raise HL7Error(MessageErrorCondition.APPLICATION_INTERNAL_ERROR, None, sentence)
        self._rules.read(raw, now)

    def _verdict(self, raw: bytes, error: HL7Error | None) -> Verdict:
        header = read_header(raw)
        code = self._rules.code(header, error)
        return Verdict(code, error, self._rules.wants(header, code))


def chosen(judges: Sequence[Judge], raw: bytes) -> Judge:
    """Return whose link takes the message's sender, as on a port that several links share; else the first, to refuse it."""
    header = read_header(raw)
    return next((judge for judge in judges if allows_application(judge.link, header)), judges[0])
