"""Command sets and the assembly of DIMSE messages (PS3.7)."""

import struct

import pytest

from overread.protocols.dicom.dimse import (
    LARGEST_ANNOUNCEMENT,
    SUCCESS,
    Command,
    MalformedCommand,
    MessageAssembler,
    Status,
    StatusCode,
    decode_command,
    encode_response,
)
from overread.protocols.dicom.pdu import PresentationDataValue
from tests.builders import dicom

STORE = Command(
    command_field=0x0001,
    message_id=7,
    has_data_set=True,
    affected_sop_class_uid=dicom.CT_IMAGE_STORAGE,
    affected_sop_instance_uid="1.2.3",
)


def command_value(payload: bytes, *, last: bool = True, context_id: int = 1) -> PresentationDataValue:
    return PresentationDataValue(context_id, True, last, payload)


def data_value(payload: bytes, *, last: bool = True, context_id: int = 1) -> PresentationDataValue:
    return PresentationDataValue(context_id, False, last, payload)


def elements_of(command_set: bytes) -> dict[int, bytes]:
    elements, rest = {}, command_set
    while rest:
        _, tag, length = struct.unpack("<HHL", rest[:8])
        elements[tag] = rest[8 : 8 + length]
        rest = rest[8 + length :]
    return elements


def test_a_store_request_is_read() -> None:
    """PS3.7, 9.3.1.1."""
    command = decode_command(dicom.a_store_command(message_id=7, instance="1.2.3"))

    assert command == STORE


def test_a_response_answers_its_request() -> None:
    """PS3.7, 9.3.1.2: the message ID, both UIDs and the status come back, all of even length, no data set."""
    elements = elements_of(encode_response(STORE, SUCCESS))

    assert elements[0x0100] == b"\x01\x80"
    assert elements[0x0120] == b"\x07\x00"
    assert elements[0x0800] == b"\x01\x01"
    assert elements[0x0900] == b"\x00\x00"
    assert elements[0x1000] == b"1.2.3\0"
    assert 0x0902 not in elements
    assert all(len(value) % 2 == 0 for value in elements.values())


def test_the_group_length_counts_what_follows() -> None:
    """PS3.7, E.1: (0000,0000) is the length of the rest."""
    encoded = encode_response(STORE, SUCCESS)

    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12


def test_an_error_comment_fits_its_representation() -> None:
    """PS3.7, C: (0000,0902) is LO, at most 64 characters."""
    status = Status(StatusCode.OUT_OF_RESOURCES, "é" + "x" * 100)

    comment = elements_of(encode_response(STORE, status))[0x0902]

    assert len(comment) == 64
    assert comment.isascii()


@pytest.mark.parametrize(
    "broken",
    [
        b"\x00",
        b"\x08\x00\x05\x00\x00\x00\x00\x00",  # not of group 0000
        b"\x00\x00\x00\x01\xff\xff\x00\x00ab",  # longer than what is there
        dicom.a_command_set({0x0110: b"\x01\x00"}),  # no command field
        dicom.an_echo_command(command_field=0x8030),  # a response to nothing
        dicom.a_command_set({0x0100: b"\x30\x00", 0x0110: b"\x01\x00", 0x0800: b"\x01\x01", 0x0002: b"\xff\xfe"}),
    ],
)
def test_a_broken_command_set_is_malformed(broken: bytes) -> None:
    """Bad input gets a clear answer, no other exception."""
    with pytest.raises(MalformedCommand):
        decode_command(broken)


def test_fragments_become_one_message() -> None:
    """PS3.8, annex E: the command ends first, then the data set; the fragments are kept as they came."""
    assembler = MessageAssembler()
    command = dicom.a_store_command(message_id=7, instance="1.2.3")

    steps = [
        assembler.add(command_value(command[:10], last=False)),
        assembler.add(command_value(command[10:])),
        assembler.add(data_value(b"ab", last=False)),
    ]
    message = assembler.add(data_value(b"cd"))

    assert steps == [None, None, None]
    assert message is not None
    assert message.command == STORE
    assert message.fragments == (b"ab", b"cd")
    assert message.size_bytes == 4
    assert assembler.is_idle


def test_a_data_set_too_large_is_discarded_and_still_answered() -> None:
    """No more memory than the limit is taken; the message comes out without its bytes."""
    assembler = MessageAssembler(maximum_data_set=1_000)
    assembler.add(command_value(dicom.a_store_command()))

    for _ in range(5):
        assembler.add(data_value(bytes(400), last=False))
    held = assembler.held_bytes
    message = assembler.add(data_value(b"", last=True))

    assert held == 0
    assert message is not None
    assert message.is_discarded
    assert message.fragments == ()


def test_tiny_fragments_count_with_what_they_cost() -> None:
    """A peer can't fill the memory with a million fragments of one byte."""
    assembler = MessageAssembler(maximum_data_set=10_000)
    assembler.add(command_value(dicom.a_store_command()))

    for _ in range(1_000):
        assembler.add(data_value(b"x", last=False))

    assert assembler.held_bytes == 0


@pytest.mark.parametrize(
    "second",
    [
        data_value(b"ab", context_id=3),  # another context
        command_value(dicom.a_store_command()),  # a command where data was due
    ],
)
def test_mixed_messages_are_malformed(second: PresentationDataValue) -> None:
    """PS3.8, annex E: fragments of two messages are never interleaved."""
    assembler = MessageAssembler()
    assembler.add(command_value(dicom.a_store_command()))

    with pytest.raises(MalformedCommand):
        assembler.add(second)


def test_data_without_a_command_is_malformed() -> None:
    """PS3.7, 6.3: a message begins with its command."""
    assembler = MessageAssembler()

    with pytest.raises(MalformedCommand):
        assembler.add(data_value(b"ab"))


def test_an_endless_command_is_malformed() -> None:
    """A command set is bounded."""
    assembler = MessageAssembler(maximum_command_set=1_000)

    with pytest.raises(MalformedCommand):
        assembler.add(command_value(bytes(1_001), last=False))


def test_what_is_no_image_may_not_be_as_large_as_one() -> None:
    """It is decoded whole: a list of all instances of a large study fits, and nothing beyond."""
    assembler = MessageAssembler()
    assembler.add(command_value(dicom.a_command_set({0x0100: b"\x30\x01", 0x0110: b"\x01\x00", 0x0800: b"\x01\x00"})))

    for _ in range(LARGEST_ANNOUNCEMENT // 100_000 + 1):
        assembler.add(data_value(bytes(100_000), last=False))
    message = assembler.add(data_value(b"", last=True))

    assert message is not None
    assert (message.is_discarded, message.fragments) == (True, ())
