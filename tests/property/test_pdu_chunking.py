"""The upper layer and the header reader under any bytes in any pieces."""

import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.contracts.errors import Malformed
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.dimse import MalformedCommand, Message, MessageAssembler
from overread.protocols.dicom.upper_layer import AcceptorConfig, Association, AssociationRequested, DataReceived, Event
from tests.builders import dicom

CONFIG = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}))
DATA = dicom.encoded(dicom.a_ct_slice(rows=32))
CONVERSATION = dicom.an_associate_request() + dicom.a_store(DATA, size=500) + dicom.a_release_request()


def conversed(pieces: list[bytes]) -> tuple[list[Event], list[Message]]:
    association, assembler = Association(CONFIG), MessageAssembler()
    events: list[Event] = []
    messages: list[Message] = []
    for piece in pieces:
        for event in association.receive(piece):
            if isinstance(event, AssociationRequested) and event.refusal is None:
                association.accept()
            if isinstance(event, DataReceived):
                messages.extend(message for value in event.values if (message := assembler.add(value)))
            events.append(event)
    return events, messages


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=40))
def test_decoder_survives_any_chunking(cuts: list[int]) -> None:
    """TCP keeps order, not borders: the same events and the same bytes come out of any pieces.

    One exception is written into PS3.8: the requestor waits for our answer, so the request comes in its own piece.
    """
    request = len(dicom.an_associate_request())
    whole = conversed([CONVERSATION[:request], CONVERSATION[request:]])

    cut = conversed(pieces_of(CONVERSATION, [*cuts, request]))

    assert cut == whole
    assert b"".join(cut[1][0].fragments) == DATA


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    """Whatever a stranger sends is an event, never an exception."""
    association = Association(CONFIG)

    for piece in pieces:
        association.receive(piece)

    assert association.contexts == {}


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_conversation_raises_nothing_but_malformed_command(data: st.DataObject) -> None:
    """A flipped byte anywhere is answered, never fatal."""
    damaged = bytearray(CONVERSATION)
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=5)):
        damaged[position] = data.draw(st.integers(0, 255))
    request = len(dicom.an_associate_request())

    with contextlib.suppress(MalformedCommand):
        conversed([bytes(damaged[:request]), bytes(damaged[request:])])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_data_set_is_read_or_malformed(data: st.DataObject) -> None:
    """Whatever a header holds, the reader answers with attributes or with `Malformed`."""
    syntax = data.draw(
        st.sampled_from(
            [dicom.EXPLICIT_VR_LITTLE_ENDIAN, dicom.IMPLICIT_VR_LITTLE_ENDIAN, dicom.EXPLICIT_VR_BIG_ENDIAN]
        )
    )
    damaged = bytearray(dicom.encoded(dicom.a_ct_slice(), syntax))
    for position in data.draw(st.lists(st.integers(0, 700), min_size=1, max_size=8)):
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))

    with contextlib.suppress(Malformed):
        read_header([bytes(damaged[:cut])], syntax)


@given(
    st.binary(max_size=400),
    st.sampled_from([dicom.EXPLICIT_VR_LITTLE_ENDIAN, dicom.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]),
)
def test_any_bytes_are_read_or_malformed(data: bytes, syntax: str) -> None:
    """Bytes that are no data set at all."""
    with contextlib.suppress(Malformed):
        read_header([data], syntax)
