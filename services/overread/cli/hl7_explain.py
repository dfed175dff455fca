"""`overread hl7 explain`: a message in plain words, what Overread would do with it, or why it would be refused."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from overread.cli.hl7_verdict import Judge, Verdict, chosen
from overread.contracts.errors import OverreadError
from overread.hl7_intake import links
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7 import charsets
from overread.protocols.hl7.advice import LENIENCIES, what_to_change, where_text_breaks
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.explain import ExplainedSegment, explain, visible
from overread.protocols.hl7.message_files import cut
from overread.protocols.hl7.sentences import Language, translate
from overread.protocols.hl7.taken_as import USUAL_PLACES, name_of, taken_as
from overread.protocols.hl7.tokenise import Message, tokenise
from overread.protocols.hl7.words import meaning_in, say
from overread.runtime.clock import utc_now
from overread.runtime.settings import ServiceSettings

MARKS = ("TAKEN", "REFUSED", "note:", "change:", "link:")
"""What stands before a sentence."""

EXAMPLES = """\
examples:
  overread hl7 explain order.hl7                   what is in it, and what Overread would do with it
  overread hl7 explain order.hl7 --show-patient    the same with the patient's data
  overread hl7 explain --charset cp1258 old.hl7    as on a link with fallback_charset = "cp1258"
  overread hl7 explain --links links.toml --link his-bvx order.hl7    as on that link
  overread hl7 explain order.hl7 --language vi     in Vietnamese, for the vendor's people
  pbpaste | overread hl7 explain -                 what somebody copied out of a log

Ends with 0 when every message would be taken, with 1 when one would be refused.
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "explain",
        help="say a message in plain words, and why it would be refused",
        description="Says each segment and field by its name, codes in words, and then what Overread would do with "
        "the message, or why it would refuse it, where, and what to change. Nothing is sent. It takes MLLP blocks, any "
        "line ends, several messages in a file and batches. Patient data is hidden unless you ask for it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the message, or - for standard input")
    parser.add_argument("--show-patient", action="store_true", help="show names, numbers, dates and findings too")
    parser.add_argument("--brief", action="store_true", help="say only what Overread would do, not the fields")
    add_link(parser)
    parser.set_defaults(run=run)


def add_link(parser: argparse.ArgumentParser) -> None:
    """Add what names the link by whose settings messages are judged."""
    parser.add_argument("--links", type=Path, metavar="FILE", help="judge by a link of this file of links")
    parser.add_argument("--link", metavar="ID", help="which of them (default: the first that lets the sender in)")
    parser.add_argument("--charset", metavar="NAME", default="", help="as on a link with this fallback_charset")
    parser.add_argument(
        "--language", choices=["en", "vi", "fr"], help="of everything that is said (default: the link's)"
    )


def links_of(told: argparse.Namespace) -> list[Link]:
    """Return the links that the options name: those of a file, or the usual one with a charset."""
    if told.links is None:
        found = [link_with(told.charset)]
    else:
        settings = HL7IntakeSettings().model_copy(update={"hl7_links": told.links})
        found = [link for link in links.load(settings) if told.link in (None, link.link_id)]
    if not found:
        raise OverreadError(f"{told.links} has no link {told.link}: `overread links --file {told.links}` lists them")
    return [link.model_copy(update={"language": told.language}) if told.language else link for link in found]


def run(told: argparse.Namespace) -> int:
    """Print the explanation; 1 when a message would be refused."""
    judges = [Judge(link, ServiceSettings()) for link in links_of(told)]
    content = sys.stdin.buffer.read() if told.file == "-" else Path(told.file).read_bytes()
    found = cut(content)
    if not found.messages:
        raise OverreadError(f"{told.file} holds no message: an HL7 message begins with MSH|")
    language = judges[0].link.language
    sys.stdout.writelines(f"{_marked('note:', say(language, finding), language)}\n" for finding in found.findings)
    of = len(found.messages)
    verdicts = [_explain(told, judges, raw, number, of) for number, raw in enumerate(found.messages, 1)]
    return 0 if all(verdict.error is None for verdict in verdicts) else 1


def link_with(charset: str) -> Link:
    """Return a link with its usual settings and this charset."""
    try:
        return Link(fallback_charset=charset)
    except (LookupError, ValueError):
        try_this = charsets.nearest_name(charset) or "utf-8, cp1258 or iso8859-1"
        raise OverreadError(f"{charset} is no charset that is known here; try {try_this}") from None


def _explain(told: argparse.Namespace, judges: Sequence[Judge], raw: bytes, number: int, of: int) -> Verdict:
    judge = chosen(judges, raw)
    verdict = judge(raw, utc_now())
    if of > 1:
        heading = say(judge.link.language, "message {number} of {of}", number=number, of=of)
        sys.stdout.write(f"{'' if number == 1 else chr(10)}== {heading} ==\n")
    if told.links is not None:
        sys.stdout.write(f"{_marked('link:', judge.link.link_id, judge.link.language)}\n")
    lines = lines_of(raw, verdict, judge, shows_patient=told.show_patient, is_brief=told.brief)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return verdict


def lines_of(raw: bytes, verdict: Verdict, judge: Judge, *, shows_patient: bool, is_brief: bool) -> Iterator[str]:
    """Yield the explanation of one message: its fields, then what becomes of it."""
    message, language = _readable(raw, judge.link.fallback_charset), judge.link.language
    if message is not None and not is_brief:
        for segment in explain(message, shows_patient=shows_patient, language=language):
            yield from _segment(segment, language)
        yield ""
    if verdict.error is None and message is not None:
        yield from _taken(message, verdict, judge)
    elif verdict.error is not None:
        yield from _refused(raw, verdict, verdict.error, judge.link)


def _readable(raw: bytes, fallback_charset: str) -> Message | None:
    """Cut a message for showing, also one whose text can't be decoded: bytes that are no text become question marks."""
    try:
        return tokenise(raw, fallback_charset or None)
    except HL7Error:
        pass
    is_utf_8 = charsets.undecodable_at(raw, "utf-8") is None
    plain = raw if is_utf_8 else bytes(byte if 0 < byte < 0x80 else 0x3F for byte in raw)
    try:
        return tokenise(plain, "utf-8")
    except HL7Error:
        return None


def _segment(segment: ExplainedSegment, language: Language) -> Iterator[str]:
    again = f" ({segment.sequence})" if segment.sequence > 1 else ""
    unnamed, also = say(language, "not named by the standard"), say(language, "and")
    yield f"{segment.name}{again}  {segment.title}".rstrip()
    for field in segment.fields:
        first, *others = field.values
        yield f"  {field.place:8}{field.name or unnamed:38}  {first}"
        for other in others:
            yield f"  {'':8}{also:>38}  {other}"


def _marked(mark: str, text: str, language: Language) -> str:
    """Put a mark before a line, all lines beginning in one column."""
    room = max(len(say(language, each)) for each in MARKS) + 1
    return f"{say(language, mark) if mark else '':<{room}} {text}"


def _taken(message: Message, verdict: Verdict, judge: Judge) -> Iterator[str]:
    language = judge.link.language
    answer = _answer(verdict, language)
    yield _marked("TAKEN", f"{visible(name_of(message, language))}. {answer}", language)
    for sentence in taken_as(
        message,
        time_zone=judge.time_zone,
        accession_places=judge.link.accession_places or USUAL_PLACES,
        language=language,
    ):
        yield _marked("", visible(sentence), language)
    for leniency in message.leniencies:
        yield _marked("note:", say(language, LENIENCIES[leniency]), language)
    if message.stray_lines:
        stray = "{count} lines are no segment and are passed over: a line end inside a text?"
        yield _marked("note:", say(language, stray, count=message.stray_lines), language)


def _refused(raw: bytes, verdict: Verdict, error: HL7Error, link: Link) -> Iterator[str]:
    language = link.language
    sentence = visible(translate(error.sentence, language))
    yield _marked("REFUSED", f"{sentence} {_answer(verdict, language)}", language)
    yield _marked("", _condition(error, language), language)
    text = where_text_breaks(raw, link.fallback_charset or None, language)
    if text:
        yield _marked("", text, language)
    yield _marked("change:", what_to_change(error, language, is_about_charset=bool(text)), language)


def _condition(error: HL7Error, language: Language) -> str:
    condition = str(error.condition.value)
    meaning = meaning_in(language, "HL70357", condition)
    if error.location is None:
        return say(language, "Condition {condition} ({meaning}).", condition=condition, meaning=meaning)
    sentence = "Condition {condition} ({meaning}) at {place}."
    return say(language, sentence, condition=condition, meaning=meaning, place=error.location)


def _answer(verdict: Verdict, language: Language) -> str:
    if not verdict.is_answered:
        return say(language, "The sender asks for no answer on the line (MSH-15).")
    meaning = meaning_in(language, "HL70008", verdict.code.value)
    return say(language, "The answer would be {code}: {meaning}.", code=verdict.code.value, meaning=meaning)
