"""Objects on synced disk: temp file, fsync, rename, fsync of the folder; nothing is ever overwritten or swept."""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.synced_files import make_folder, sync, write_once

T = TypeVar("T")

WRITERS = 8
LOW_WATERMARK_BYTES = 512 * 1024 * 1024
KNOWN_FOLDERS = 50_000
"""How many folders' names are remembered as synced."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

MARK = ".overread-objects"
"""The file that set-up leaves in the root of a store. Where it is missing the volume is not mounted."""
_SAID_BY_MARK = b"Objects of Overread. A folder without this file is taken for a volume that is not mounted.\n"


_OF_THE_OBJECT = frozenset(
    {errno.EIO, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.EBADMSG, errno.EUCLEAN}
)
"""What a read meets that is one file's fault, while the store answers otherwise."""


class ObjectUnreadable(Unavailable):
    """One object can't be read although its store answers: waiting alone mends nothing."""


class ObjectMissing(OverreadError):
    """The object store holds nothing under this key."""


def make_root(root: Path) -> None:
    """Make `root` the root of a store, for good. Set-up calls this, once: nobody else makes or marks a root."""
    make_folder(root, mode=0o700)
    write_once(root / MARK, _SAID_BY_MARK)


def must_be_root(root: Path) -> None:
    """Raise `Unavailable` unless `root` is the root of a store.

    A volume that is not mounted leaves an empty folder, or none, in its place: what would be stored there is hidden
    once the volume is back, and what is missing there is not lost.
    """
    try:
        is_marked = (root / MARK).is_file()
    except OSError as error:
        raise Unavailable("the object store does not answer") from error
    if not is_marked:
        raise Unavailable(f"the object store is not there: its root has no {MARK}, so its volume is not mounted")


class LocalObjectStore:
    """A folder of objects, which set-up made. Keys are POSIX paths that begin with the site; content never changes."""

    def __init__(self, root: Path, *, low_watermark_bytes: int = LOW_WATERMARK_BYTES) -> None:
        self._root = root
        self._low_watermark_bytes = low_watermark_bytes
        self._synced_folders: set[Path] = set()
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="object-writer")

    async def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Return when the joined `parts` are on synced disk under `key`; `Unavailable` when there is no room.

        An object that is there already is left: the same key has the same content (the receipt is its digest).
        """
        await self.in_writer(self.write, key, parts)

    async def in_writer(self, work: Callable[..., T], *arguments: object) -> T:
        """Run blocking `work` that ends in `read` or `write` on one of the store's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, work, *arguments)

    async def get(self, key: str) -> bytes:
        """Return the object, or raise `ObjectMissing`."""
        return await self.in_writer(self.read, key)

    def read(self, key: str) -> bytes:
        """Return the object, blocking."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise self._missing(key) from error
        except OSError as error:
            raise self._unread(error) from error

    def open(self, key: str) -> BinaryIO:
        """Return the object as a file to read parts of, blocking, or raise `ObjectMissing`."""
        try:
            return self._path(key).open("rb")
        except FileNotFoundError as error:
            raise self._missing(key) from error
        except OSError as error:
            raise Unavailable("the object store does not answer") from error

    async def ping(self) -> None:
        """Raise `Unavailable` when the store can't take objects."""
        self._check_room()

    def objects_stored_since(self, prefix: str, seconds_since_1970: float) -> Iterator[str]:
        """Yield the keys under `prefix` of all files in folders that changed at or after that time.

        A folder changes when a file gets its name there: a file's own time is earlier, that of its first byte.
        """
        must_be_root(self._root)
        base = self._path(prefix)
        for folder, _, names in os.walk(base):
            if Path(folder).stat().st_mtime < seconds_since_1970:
                continue
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder, name).relative_to(self._root).as_posix()
        must_be_root(self._root)  # a volume that went away meanwhile looks like the end

    def write(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Do what `put` does, blocking."""
        path = self._path(key)
        must_be_root(self._root)
        if path.exists():
            # Its writer may have died, or be busy, between the rename and the sync of the folder.
            self._sync_existing(path)
            return
        self._check_room()
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        try:
            self._make_folder(path.parent)
            _write_synced(temporary, parts)
            temporary.rename(path)
            sync(path.parent)
            must_be_root(self._root)  # it may have been unmounted meanwhile, and this be the folder below it
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            must_be_root(self._root)
            if error.errno in _NO_ROOM:
                raise Unavailable("the object store has no room or can't be written") from error
            raise

    def _path(self, key: str) -> Path:
        relative = PurePosixPath(key)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in key:
            raise Malformed("an object key is relative and stays below the store's root")
        return self._root / relative

    def _missing(self, key: str) -> ObjectMissing:
        must_be_root(self._root)
        return ObjectMissing(f"no object under {key}")

    def _unread(self, error: OSError) -> Unavailable:
        must_be_root(self._root)
        if error.errno in _OF_THE_OBJECT:
            return ObjectUnreadable("an object can't be read, although its store answers")
        return Unavailable("the object store does not answer")

    def _check_room(self) -> None:
        must_be_root(self._root)
        try:
            free = shutil.disk_usage(self._root).free
        except OSError as error:
            raise Unavailable("the object store does not answer") from error
        if free < self._low_watermark_bytes:
            raise Unavailable("the disk is at its watermark: free space or add a volume")

    def _make_folder(self, folder: Path) -> None:
        """Make `folder` so that it survives a power cut: its name, whoever made it, is synced in its parent."""
        if folder == self._root or folder in self._synced_folders:
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
        if len(self._synced_folders) >= KNOWN_FOLDERS:
            self._synced_folders.clear()
        self._synced_folders.add(folder)

    def _sync_existing(self, path: Path) -> None:
        try:
            self._make_folder(path.parent)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sync(path.parent)
        except OSError as error:
            raise Unavailable("the object store does not answer") from error


def _write_synced(path: Path, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    with path.open("xb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) :]
        os.fsync(file.fileno())
