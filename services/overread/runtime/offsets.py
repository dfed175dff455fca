"""Asks the broker where partitions begin and end, on a connection of its own.

On a consumer's connection the question waits behind the long poll (0.5 s): the broker answers a connection in order.
"""

import asyncio

from aiokafka import AIOKafkaConsumer

from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings


class OffsetsClient:
    """One connection a process, opened with the first question."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._opening = asyncio.Lock()

    async def consumer(self) -> AIOKafkaConsumer:
        """Return a consumer that reads nothing and may be asked; raise KafkaError when the broker does not answer."""
        async with self._opening:
            if self._consumer is None:
                self._consumer = await self._opened()
            return self._consumer

    async def _opened(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(group_id=None, **kafka_client_options(self._settings))
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    async def stop(self) -> None:
        """Close the connection, if it was opened."""
        if self._consumer is not None:
            await self._consumer.stop()
