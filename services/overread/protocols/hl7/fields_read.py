"""Which fields a reader asks for, found by asking it: an example is read with segments that note what they are asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from overread.protocols.hl7.tokenise import Message, Segment, Value, tokenise

Reader = Callable[[Message], object]
Noted = dict[str, set[int]]


class _NotingSegment(Segment):
    """A segment that notes which of its fields are asked for."""

    __slots__ = ("_noted",)

    def __init__(self, of: Segment, noted: Noted) -> None:
        super().__init__(of.name, of.sequence, of._fields, of._coding)  # noqa: SLF001 - of our own kind
        self._noted = noted

    def field(self, number: int) -> Value:
        self._noted.setdefault(self.name, set()).add(number)
        return super().field(number)

    def text(self, number: int, component: int = 1) -> str:
        self._noted.setdefault(self.name, set()).add(number)
        return super().text(number, component)


class _NotingMessage(Message):
    """A message of such segments."""

    __slots__ = ("_noting",)

    def __init__(self, of: Message, noted: Noted) -> None:
        super().__init__(of.body, of.header, of.coding, of.leniencies)
        self._noting = tuple(_NotingSegment(segment, noted) for segment in of)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._noting)


def fields_read(reader: Reader, examples: Iterable[bytes]) -> Mapping[str, tuple[int, ...]]:
    """Return each segment with the fields that `reader` asks for in any of the examples."""
    noted: Noted = {}
    for raw in examples:
        reader(_NotingMessage(tokenise(raw), noted))
    return {segment: tuple(sorted(numbers)) for segment, numbers in noted.items()}
