"""One batch of one partition as Kafka's Produce request, version 7 (KIP-110), written and its answer read by hand.

aiokafka's generic encoder spends more on such a request than on all the rest of a round.
"""

import struct

from aiokafka.errors import KafkaError, for_code

API_KEY, API_VERSION = 0, 7
ALL_IN_SYNC_REPLICAS = -1
_NO_TRANSACTION = -1

_LENGTH = struct.Struct(">i")
_HEADER = struct.Struct(">hhih")  # request, its version, correlation id, length of the client's name
_START = struct.Struct(">hhiih")  # transactional id, acks, time-out, topics, length of the topic's name
_PARTITION = struct.Struct(">iii")  # partitions, partition, length of the batch
_ERROR_CODE = struct.Struct(">h")


class ProduceBatch:
    """Asks for `batch` to be written to `partition` of `topic`, on every in-sync replica."""

    __slots__ = ("_body",)

    def __init__(self, topic: str, partition: int, batch: bytes | bytearray, timeout_milliseconds: int) -> None:
        name = topic.encode()
        start = _START.pack(_NO_TRANSACTION, ALL_IN_SYNC_REPLICAS, timeout_milliseconds, 1, len(name))
        self._body = (start, name, _PARTITION.pack(1, partition, len(batch)), batch)

    def encode(self, correlation_id: int, client: bytes) -> bytes:
        """Return the request as it goes on the line, with its length before it."""
        request = b"".join((_HEADER.pack(API_KEY, API_VERSION, correlation_id, len(client)), client, *self._body))
        return _LENGTH.pack(len(request)) + request


def error_code_of(answer: bytes | memoryview) -> int:
    """Read the one error code: behind topics, the name, partitions and partition; the name's length says where."""
    (length,) = _ERROR_CODE.unpack_from(answer, 4)
    (error_code,) = _ERROR_CODE.unpack_from(answer, 4 + 2 + length + 4 + 4)
    return int(error_code)


def error_of(error_code: int) -> KafkaError:
    """Return what the broker says is wrong with the batch, as aiokafka names it."""
    error: KafkaError = for_code(error_code)()
    return error
