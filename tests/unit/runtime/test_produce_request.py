"""The Produce request written by hand is the one that aiokafka's own encoder writes, and its answer is read as theirs."""

import struct

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from overread.runtime.produce_request import ProduceBatch, error_code_of, error_of

VERSIONS = {0: (3, 13)}
topics = st.from_regex(r"[a-z]{1,20}\.[a-z]{1,20}", fullmatch=True)


@given(topic=topics, partition=st.integers(0, 10_000), batch=st.binary(min_size=1, max_size=300))
def test_the_bytes_are_those_of_the_generic_encoder(topic: str, partition: int, batch: bytes) -> None:
    """KIP-110, Produce v7: acks of all in-sync replicas, no transaction, one topic, one partition."""
    ours = ProduceBatch(topic, partition, batch, 8_000).encode(7, b"x")

    theirs = ProduceRequest(None, -1, 8_000, [(topic, [(partition, batch)])]).prepare(VERSIONS)
    request = theirs.build_request_header(7, "x").encode() + theirs.encode()

    assert theirs.API_VERSION == 7
    assert ours == struct.pack(">i", len(request)) + request


@given(topic=topics, code=st.integers(-1, 120))
def test_the_brokers_error_code_is_found_behind_any_name(topic: str, code: int) -> None:
    """Promise 1: a batch that the broker did not take is never called kept."""
    answer = ProduceResponse_v7([(topic, [(3, code, 41, -1, 0)])], 0).encode()

    assert error_code_of(answer) == code
    assert isinstance(error_of(6), NotLeaderForPartitionError)


def test_an_answer_that_ends_too_early_is_no_success() -> None:
    """What can't be read is an error."""
    with pytest.raises(struct.error):
        error_code_of(b"\x00\x00\x00\x01\x00\x0chl7")
