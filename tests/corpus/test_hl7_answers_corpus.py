"""Messages of other people at our door: one answer a frame, every value cut as HAPI and python-hl7 cut it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hl7
import pytest

from overread.protocols.hl7.acknowledgement import parse_ack
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.sentences import key_of
from overread.protocols.hl7.tokenise import BYTE_ORDER_MARK, Message, Segment, Value, read_header, tokenise
from overread.protocols.mllp import Frame, FrameDecoder, encode
from tests.corpus.test_hl7_corpus import _split
from tests.fakes.hl7_intake import FakeBroker, an_intake
from tests.referees import hapi

pytestmark = pytest.mark.corpus

MOST_BYTES = 8 * 1024 * 1024
Block = tuple[tuple[str, ...], ...]


@pytest.fixture(scope="module")
def messages(corpus: Path) -> list[bytes]:
    paths = sorted(corpus.glob("hl7/**/*.hl7"))
    return [_unframed(message) for path in paths for message in _split(path.read_bytes())]


def _unframed(raw: bytes) -> bytes:
    """A few files hold a message as it was on the line; the frame is not part of it."""
    return raw.replace(b"\x0b", b"").replace(b"\x1c\r", b"").replace(b"\x1c", b"")


@pytest.fixture(scope="module")
def verdicts(messages: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """What HAPI says of each: `OK` with its default validation, `PARSED` without any, `FAIL`."""
    classpath, folder = hapi.classpath(), tmp_path_factory.mktemp("corpus")
    paths = [folder / f"{number:04d}.hl7" for number in range(len(messages))]
    for path, raw in zip(paths, messages, strict=True):
        path.write_bytes(_with_carriage_returns(raw))
    said = hapi.judge(classpath, paths, referee="Hl7Corpus")
    return [(line.split()[0], path) for line, path in zip(said, paths, strict=True)]


def _with_carriage_returns(raw: bytes) -> bytes:
    """Files of the corpus end their lines in every way; HAPI knows one."""
    return raw.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\r").replace(b"\n", b"\r")


async def test_every_frame_gets_one_answer_that_names_its_message(messages: list[bytes]) -> None:
    """One stream of all of them, cut in pieces of 1,000 bytes: no crash, no silence, and MSA-2 is MSH-10."""
    stream, decoder = b"".join(encode(message) for message in messages), FrameDecoder(MOST_BYTES)
    pieces = (stream[start : start + 1000] for start in range(0, len(stream), 1000))
    frames = [event.payload for piece in pieces for event in decoder.feed(piece) if isinstance(event, Frame)]
    intake = an_intake(FakeBroker(), reused_control_id="accept_and_warn", answers_application_ack_on_the_line=True)

    answers = [await asyncio.wait_for(intake.begin(frame), 5) for frame in frames]

    assert frames == messages
    read = [parse_ack(answer) for answer in answers if answer is not None]
    assert [ack.message_control_id for ack in read] == [_control_id(frame) for frame in frames]
    print(Counter(ack.code.value for ack in read))  # noqa: T201 - the figures are what one wants to see with -s


def _control_id(raw: bytes) -> str:
    return read_header(raw).message_control_id.encode("ascii", "backslashreplace").decode().strip()


@pytest.mark.jdk
async def test_what_hapi_takes_is_taken_or_refused_for_its_content(
    messages: list[bytes], verdicts: list[tuple[str, Path]]
) -> None:
    """A table of both, as docs/hl7.md shows it; what HAPI is content with is text and has a header here."""
    said: Counter[tuple[str, str]] = Counter()
    for (verdict, _), raw in zip(verdicts, messages, strict=True):
        intake = an_intake(FakeBroker(), answers_application_ack_on_the_line=True)
        answer = await asyncio.wait_for(intake.begin(raw), 5)
        said[verdict, _outcome(answer)] += 1

    for (verdict, outcome), count in sorted(said.items()):
        print(f"{verdict:7} {outcome:32} {count:4}")  # noqa: T201 - the table is what one wants to see with -s
    unreadable = {"not-text", "no-msh", "delimiters-unusable"}
    assert sum(said.values()) == len(messages)
    assert not [outcome for verdict, outcome in said if verdict == "OK" and outcome.split()[-1] in unreadable]


def _outcome(answer: bytes | None) -> str:
    assert answer is not None
    ack = parse_ack(answer)
    return f"{ack.code.value} {ack.error_condition} {key_of(ack.text) or ''}".strip()


@pytest.mark.jdk
def test_every_value_is_cut_as_hapi_cuts_it(messages: list[bytes], verdicts: list[tuple[str, Path]]) -> None:
    """Segments, fields, repetitions, components, subcomponents and their text, in every message that both read."""
    differing = []
    compared = values = 0
    for (verdict, path), raw in zip(verdicts, messages, strict=True):
        ours = _read(raw)
        if verdict == "FAIL" or ours is None:
            continue
        mine, theirs = Counter(_blocks(ours)), Counter(_blocks_of(Path(f"{path}.fields").read_text("utf-8")))
        compared, values = compared + 1, values + sum(map(len, mine.elements()))
        if not _say_the_same(mine, theirs):
            differing.append(path.name)

    print(f"{compared} messages, {values} values")  # noqa: T201 - the figures are what one wants to see with -s
    assert differing == []
    assert compared > 0.95 * len(messages)


def test_every_value_is_cut_as_python_hl7_cuts_it(messages: list[bytes]) -> None:
    """The same places, the same bytes; what neither unescapes here needs no excuse."""
    read = [(message, raw) for raw in messages if (message := _read(raw)) and len(message.header.fields) > 2]

    differing = [raw for message, raw in read if [*_raw_blocks(message)] != [*_blocks_of_python_hl7(raw)]]

    print(len(read), "messages")  # noqa: T201 - the figures are what one wants to see with -s
    assert [raw[:60] for raw in differing] == []
    assert len(read) > 0.95 * len(messages)


def _raw_blocks(message: Message) -> Iterator[tuple[str, list[tuple[int, int, int, int, str]]]]:
    delimiters = message.header.delimiters
    marks = (delimiters.component.encode(), delimiters.subcomponent.encode())
    for segment in message:
        first = 3 if segment.name == "MSH" else 1
        numbered = ((number, segment.field(number).repetitions) for number in range(first, segment.last_field + 1))
        values = [
            (number, repetition, component, subcomponent, value.raw.decode(message.coding.codec))
            for number, repetitions in numbered
            for repetition, field in enumerate(repetitions)
            for component, part in enumerate(_parts(field, marks[0], Value.component), start=1)
            for subcomponent, value in enumerate(_parts(part, marks[1], Value.subcomponent), start=1)
            if value
        ]
        yield segment.name, values


def _blocks_of_python_hl7(raw: bytes) -> Iterator[tuple[str, list[tuple[int, int, int, int, str]]]]:
    for segment in hl7.parse(_with_carriage_returns(raw).decode()):
        name = str(segment[0]).upper()
        if len(name) != 3:
            continue  # a line that is no segment
        fields = [(number, field) for number, field in enumerate(segment) if number >= (3 if name == "MSH" else 1)]
        yield (
            name,
            [
                (number, repetition, component, subcomponent, str(value))
                for number, field in fields
                for repetition, part in enumerate(_inside(field, hl7.Field))
                for component, piece in enumerate(_inside(part, hl7.Repetition), start=1)
                for subcomponent, value in enumerate(_inside(piece, hl7.Component), start=1)
                if str(value)
            ],
        )


def _inside(value: Any, kind: type[Any]) -> list[Any]:
    """What a container holds, or the value itself where python-hl7 leaves out containers of one."""
    return [*value] if isinstance(value, kind) else [value]


def _read(raw: bytes) -> Message | None:
    try:
        return tokenise(_with_carriage_returns(raw))
    except HL7Error:
        return None


def _blocks(message: Message) -> Iterator[Block]:
    """The values of each segment with their places; a segment of blanks alone says nothing."""
    delimiters = message.header.delimiters
    for segment in message:
        values = tuple(_values(segment, delimiters.component.encode(), delimiters.subcomponent.encode()))
        if segment.name == "MSH":
            values = (("MSH", "1", delimiters.field), ("MSH", "2", delimiters.encoding_characters), *values)
        if values:
            yield values


def _values(segment: Segment, component_mark: bytes, subcomponent_mark: bytes) -> Iterator[tuple[str, ...]]:
    for number in range(3 if segment.name == "MSH" else 1, segment.last_field + 1):
        for repetition, field in enumerate(segment.field(number).repetitions):
            for component, part in enumerate(_parts(field, component_mark, Value.component), start=1):
                for subcomponent, value in enumerate(_parts(part, subcomponent_mark, Value.subcomponent), start=1):
                    if value:
                        place = (segment.name, str(number), str(repetition), str(component), str(subcomponent))
                        yield (*place, '""' if value.is_null else value.text)


def _parts(value: Value, mark: bytes, part: Callable[[Value, int], Value]) -> list[Value]:
    return [part(value, number) for number in range(1, (value.raw.count(mark) if mark else 0) + 2)]


def _blocks_of(dump: str) -> Iterator[Block]:
    for block in dump.split("\n\n"):
        lines = [line.split("\t") for line in block.split("\n") if line]
        values = tuple(
            (name.upper(), number, value)
            if (name, number) in (("MSH", "1"), ("MSH", "2"))
            else (name.upper(), number, *rest, value)
            for name, number, *rest, value in lines
        )
        if values:
            yield values


def _say_the_same(mine: Counter[Block], theirs: Counter[Block]) -> bool:
    """HAPI leaves formatting and hexadecimal escapes, and those of v2.7, as they were sent or drops their marks."""
    ours, others = sorted((mine - theirs).elements()), sorted((theirs - mine).elements())
    if len(ours) != len(others):
        return False
    pairs = [pair for block, other in zip(ours, others, strict=True) for pair in zip(block, other, strict=False)]
    return all(len(block) == len(other) for block, other in zip(ours, others, strict=True)) and all(
        value == other or (value[:-1] == other[:-1] and _is_escaped(value[-1], other[-1])) for value, other in pairs
    )


def _is_escaped(ours: str, theirs: str) -> bool:
    return "\\" in theirs or "#" in ours
