"""What we hold, read for a viewer: headers are kept as JSON for a while, pixels never."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from pydicom import Dataset

from overread.archive.queries import ArchiveQueries, HeldInstance, HeldStudy
from overread.contracts.errors import Malformed, OverreadError
from overread.dicomweb import metadata
from overread.dicomweb.frames import Frames, read_frames
from overread.runtime.object_store import LocalObjectStore, ObjectMissing

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
KEPT_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
AT_ONCE = 16


class NothingHeld(OverreadError):
    """We hold nothing under this address."""


class Retrieval:
    """Reads instances; the address is judged by archive, the content by its digest alone."""

    def __init__(self, archive: ArchiveQueries, objects: LocalObjectStore) -> None:
        self._archive = archive
        self._objects = objects
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="dicomweb")
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def held(self, study: str, series: str | None = None, instance: str | None = None) -> list[HeldInstance]:
        """Return the instances under an address, or raise `NothingHeld`."""
        found = await self._archive.instances(study, series, instance)
        if not found:
            raise NothingHeld
        return found

    async def studies(self, study: str | None, *, limit: int, offset: int) -> list[HeldStudy]:
        """Return the studies that we hold."""
        return await self._archive.studies(study, limit=limit, offset=offset)

    async def metadata(self, instances: list[HeldInstance]) -> AsyncIterator[bytes]:
        """Yield a JSON array of headers, a few instances at a time."""
        yield b"["
        for begin in range(0, len(instances), AT_ONCE):
            some = instances[begin : begin + AT_ONCE]
            headers = await asyncio.gather(*(self._header_json(instance) for instance in some))
            yield (b"," if begin else b"") + b",".join(headers)
        yield b"]"

    async def attributes(self, instance: HeldInstance, keywords: tuple[str, ...]) -> dict[str, Any]:
        """Return some attributes of an instance's header."""
        return await self._in_thread(self._selected, instance, keywords)

    async def attributes_of_any(self, instances: list[HeldInstance], keywords: tuple[str, ...]) -> dict[str, Any]:
        """Return some attributes that all instances share, from the first whose file is there."""
        for instance in instances:
            try:
                return await self.attributes(instance, keywords)
            except (ObjectMissing, Malformed):
                continue
        raise NothingHeld

    async def frames(self, instance: HeldInstance, numbers: list[int]) -> Frames:
        """Return frames as they are stored, or raise what `read_frames` raises."""
        return await self._in_thread(self._read_frames, instance, numbers)

    def content(self, instance: HeldInstance) -> Iterator[bytes]:
        """Yield the stored file, a piece at a time."""
        with self._objects.open(instance.object_key) as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece

    async def _header_json(self, instance: HeldInstance) -> bytes:
        known = self._kept.get(instance.digest)
        if known is not None:
            self._kept.move_to_end(instance.digest)
            return known
        made = await self._in_thread(self._read_json, instance)
        self._keep(instance.digest, made)
        return made

    def _keep(self, digest: str, made: bytes) -> None:
        if digest not in self._kept:
            self._kept_bytes += len(made)
        self._kept[digest] = made
        while self._kept_bytes > KEPT_BYTES:
            _, forgotten = self._kept.popitem(last=False)
            self._kept_bytes -= len(forgotten)

    def _read_json(self, instance: HeldInstance) -> bytes:
        return metadata.json_of(self._header(instance), instance.transfer_syntax_uid)

    def _selected(self, instance: HeldInstance, keywords: tuple[str, ...]) -> dict[str, Any]:
        return metadata.selected(self._header(instance), keywords)

    def _header(self, instance: HeldInstance) -> Dataset:
        with self._objects.open(instance.object_key) as file:
            return metadata.read_header(file)

    def _read_frames(self, instance: HeldInstance, numbers: list[int]) -> Frames:
        with self._objects.open(instance.object_key) as file:
            return read_frames(file, numbers)

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments, **named))
