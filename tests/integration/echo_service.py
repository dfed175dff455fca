"""The smallest service there can be: answers `/readyz` on its socket until SIGTERM."""

import asyncio
import os
import signal
import sys


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def _run() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.start_unix_server(_answer, os.environ["OVERREAD_HEALTH_SOCKET"])
    sys.stdout.write(f"serving as {os.environ['OVERREAD_KAFKA_USERNAME']}\n")
    async with server:
        await stopped.wait()
    sys.stdout.write("left in order\n")


def main() -> None:
    asyncio.run(_run())


def break_at_once() -> None:
    sys.exit(3)
