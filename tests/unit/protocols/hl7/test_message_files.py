"""Messages out of a file, however it was made."""

import pytest

from overread.protocols import mllp
from overread.protocols.hl7.message_files import Finding, as_sent, cut
from tests.builders.hl7 import an_omi, an_orm

ONE, TWO = an_omi(), an_orm()


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_several_messages_are_cut_at_each_header(end: bytes) -> None:
    """Nothing is lost and nothing added, whatever the line ends."""
    content = (ONE + TWO).replace(b"\r", end)

    found = cut(content)

    assert [message.replace(end, b"\r") for message in found.messages] == [ONE, TWO]
    assert b"".join(found.messages) == content


def test_blocks_are_unpacked_and_what_is_outside_is_said() -> None:
    """A capture of a line holds blocks; a cut-off one at its end is not a message."""
    content = mllp.encode(ONE) + b"noise" + mllp.encode(TWO) + b"\x0bMSH|half"

    found = cut(content)

    assert found.messages == (ONE, TWO)
    assert found.findings == (Finding.BLOCKS, Finding.OUTSIDE_BLOCKS, Finding.HALF_BLOCK)


def test_a_batch_gives_its_messages() -> None:
    """HL7 v2.5.1, 2.10.3: FHS, BHS and their trailers are no part of a message."""
    content = b"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r" + ONE + TWO + b"BTS|2\rFTS|1\r"

    found = cut(content)

    assert (found.messages, found.findings) == ((ONE, TWO), (Finding.BATCH,))


def test_what_holds_no_header_is_one_message() -> None:
    """It is for the reader of the message to say what is wrong with it."""
    assert cut(b"hello\nworld").messages == (b"hello\nworld",)
    assert cut(b" \n").messages == ()


def test_a_message_goes_out_with_carriage_returns() -> None:
    """HL7 v2.5.1, 2.5.2: a segment ends in CR; editors write what they like."""
    assert as_sent(b"\xef\xbb\xbf" + ONE.replace(b"\r", b"\r\n") + b"\r\n") == ONE
