"""One batch of one partition as Kafka's Produce request, version 7 (KIP-110), written and read by hand.

aiokafka's generic encoder spends more on such a request than on all the rest of a round; connection, authentication and
metadata stay its own.
"""

import struct
from io import BytesIO
from typing import Any

from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

ALL_IN_SYNC_REPLICAS = -1
_NO_TRANSACTION = -1

_START = struct.Struct(">hhiih")  # transactional id, acks, time-out, topics, length of the topic's name
_PARTITION = struct.Struct(">iii")  # partitions, partition, length of the batch
_ERROR_CODE = struct.Struct(">h")


class _Answer(ProduceResponse_v7):  # type: ignore[misc]  # aiokafka has no types
    """The answer to a batch, of which only the error code counts."""

    error_code: int

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Any:
        """Read the error code behind topics, name, partitions and partition; the name's length says where."""
        content = data.read() if isinstance(data, BytesIO) else data
        (length,) = _ERROR_CODE.unpack_from(content, 4)
        answer = cls.__new__(cls)
        (answer.error_code,) = _ERROR_CODE.unpack_from(content, 4 + 2 + length + 4 + 4)
        return answer


class _Written(ProduceRequest_v7):  # type: ignore[misc]  # aiokafka has no types
    """A request whose bytes are there already."""

    RESPONSE_TYPE = _Answer

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __repr__(self) -> str:
        return f"<Produce request of {len(self._content)} bytes>"

    def encode(self) -> bytes:
        """Return the bytes."""
        return self._content


class ProduceBatch(Request[_Written]):  # type: ignore[misc]  # aiokafka has no types
    """Asks for `batch` to be written to `partition` of `topic`, on every in-sync replica."""

    API_KEY = 0

    def __init__(self, topic: str, partition: int, batch: bytes | bytearray, timeout_milliseconds: int) -> None:
        name = topic.encode()
        start = _START.pack(_NO_TRANSACTION, ALL_IN_SYNC_REPLICAS, timeout_milliseconds, 1, len(name))
        self._content = b"".join((start, name, _PARTITION.pack(1, partition, len(batch)), batch))

    def build(self, request_struct_class: type[_Written]) -> _Written:
        """Return the request in the one version that is spoken."""
        return request_struct_class(self._content)


def raise_for(answer: Any) -> None:
    """Raise what the broker says is wrong with the batch, as aiokafka names it."""
    if answer.error_code:
        error: KafkaError = for_code(answer.error_code)()
        raise error
