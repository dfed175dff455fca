"""A line that passes every byte on, both ways, and notes the blocks that went by: neither end sees that it is there."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from overread.cli.mllp_line import CONNECT_SECONDS, MOST_FRAME_BYTES, READ_BYTES, Address, accepting
from overread.cli.recordings import ANSWER, MESSAGE, Recording
from overread.protocols import mllp
from overread.runtime.clock import utc_now

LAST_ANSWER_SECONDS = 2.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def passing_through(
    host: str, port: int, behind: Address, recording: Recording, noted: Callable[[], None]
) -> AsyncIterator[int]:
    """Listen for the time of the block; a connection to us is one to the receiver `behind`. Yields the port."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join((reader, writer), behind, recording, noted)

    # The last message's answer is still on its way when the block ends.
    async with accepting(host, port, converse, last_seconds=LAST_ANSWER_SECONDS) as open_port:
        yield open_port


async def _join(sender: Streams, behind: Address, recording: Recording, noted: Callable[[], None]) -> None:
    """Join the sender to a connection of its own to the receiver, until one of the two leaves."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            receiver = await asyncio.open_connection(behind.host, behind.port)
    except (OSError, TimeoutError) as error:
        # The sender sees its line close, as it would without us, and tries again.
        sys.stderr.write(f"no connection to {behind}: {type(error).__name__}; the sender's line is closed\n")
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(sender[0], receiver[1], recording, MESSAGE, noted))
            both.create_task(_pump(receiver[0], sender[1], recording, ANSWER, noted))
    finally:
        receiver[1].close()


async def _pump(
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    recording: Recording,
    kind: str,
    noted: Callable[[], None],
) -> None:
    decoder = mllp.FrameDecoder(MOST_FRAME_BYTES)
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(READ_BYTES):
            for event in decoder.feed(chunk):
                if isinstance(event, mllp.Frame):
                    recording.keep(event.payload, utc_now(), kind)
            target.write(chunk)
            await target.drain()
            noted()
        target.write_eof()
