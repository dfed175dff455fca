"""A service behind the front, served on its socket for the time of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from overread.runtime.health import serve_on_socket


@asynccontextmanager
async def serving(application: FastAPI, socket: Path) -> AsyncIterator[None]:
    """Serve behind the front for the time of the block."""
    listening = asyncio.Event()
    task = asyncio.create_task(serve_on_socket(application, socket, on_listening=listening.set))
    await listening.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
