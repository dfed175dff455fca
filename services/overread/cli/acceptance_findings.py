"""What is to be said of a recorded day before its link is accepted: types, findings, how its text was read, its answers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from overread.cli.hl7_verdict import Judge, Verdict
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.acknowledgement import AcknowledgmentMode, mode_of
from overread.protocols.hl7.advice import LENIENCIES, what_to_change, where_text_breaks
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.explain import printable
from overread.protocols.hl7.sentences import Language, translate
from overread.protocols.hl7.tokenise import Header, read_header, tokenise
from overread.protocols.hl7.words import meaning_in, say

MOST_EXAMPLES = 5
"""So many control IDs are named for each finding."""

Asked = tuple[str, str] | None
"""MSH-15 and MSH-16 of a sender in enhanced mode; None in original mode."""


@dataclass
class Finding:
    """One thing that was found, in how many messages, and some of their control IDs."""

    kind: str
    says: str
    change: str
    count: int = 0
    control_ids: list[str] = field(default_factory=list)

    def add(self, control_id: str) -> None:
        """Count one message more."""
        self.count += 1
        if len(self.control_ids) < MOST_EXAMPLES:
            self.control_ids.append(control_id)


@dataclass
class Judged:
    """All messages, judged: by type how many came and how many would be taken, how they were read, what they would get."""

    came: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[tuple[Asked, str]] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        """True when every message would be taken."""
        return self.came == self.taken


def judge_all(messages: Sequence[bytes], judge: Judge, now: datetime) -> Judged:
    """Judge each message by the link's rules."""
    judged = Judged()
    for raw in messages:
        header, verdict = read_header(raw), judge(raw, now)
        kind = printable(f"{header.message_code}^{header.trigger_event}")
        judged.came[kind] += 1
        judged.taken[kind] += verdict.error is None
        judged.texts[(printable(header.component(18, 1)), _read_as(raw, judge.link))] += 1
        judged.answers[(_asked(header), verdict.code.value if verdict.is_answered else "")] += 1
        for says, change in _found(raw, verdict, judge.link):
            finding = judged.findings.setdefault((kind, says, change), Finding(kind, says, change))
            finding.add(printable(header.message_control_id))
    return judged


def _read_as(raw: bytes, link: Link) -> str:
    """Name the character set in which a message is read, nothing of one that can't be."""
    try:
        return tokenise(raw, link.fallback_charset or None).coding.charset
    except HL7Error:
        return ""


def _asked(header: Header) -> Asked:
    if mode_of(header) is AcknowledgmentMode.ORIGINAL:
        return None
    return printable(header.component(15, 1)), printable(header.component(16, 1))


def _found(raw: bytes, verdict: Verdict, link: Link) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of a message: why it is refused, or what was let pass."""
    language = link.language
    if verdict.error is not None:
        is_text = bool(where_text_breaks(raw, link.fallback_charset or None))
        sentence = translate(verdict.error.sentence, language)
        says = say(
            language, "Refused, {code}: {sentence}", code=_code(verdict, verdict.error, language), sentence=sentence
        )
        yield says, what_to_change(verdict.error, language, is_about_charset=is_text)
        return
    for leniency in tokenise(raw, link.fallback_charset or None).leniencies:
        what = say(language, leniency.value)
        yield say(language, "Let pass: {what}", what=what), say(language, LENIENCIES[leniency])


def _code(verdict: Verdict, error: HL7Error, language: Language) -> str:
    condition = str(error.condition.value)
    place = f" ({error.location})" if error.location else ""
    return f"{verdict.code.value} {condition}, {meaning_in(language, 'HL70357', condition)}{place}"
