"""The folder itself: which files are whole, who has them, and where they go when they are done. Blocking.

A share may be a network's, so nothing here hears of changes: it looks. A whole file is first moved into `taking`: who drops
another one of the same name meanwhile overwrites nothing that was not read. Files are opened for what they are, never
through a link, so that a name can lead nowhere else. Moves are renames inside the folder: whole or not at all.
"""

import hashlib
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import chain
from pathlib import Path

from overread.contracts.errors import Unavailable
from overread.order_intake.folder_settings import FolderLink
from overread.runtime.synced_files import sync

TAKING, DONE, REFUSED = "taking", "done", "refused"
REASONS = ".reasons.csv"
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """How a file was when it was looked at: time of change, size, inode."""

    changed: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is whole as far as its looks tell; `folder` is where it is."""

    folder: Path
    name: str
    look: Look

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self.folder / self.name


class FileMoved(Exception):
    """The file is not what was looked at any more: somebody writes it, or took it away; it is looked at again later."""


class Folder:
    """One link's folder, and how long each file in it has looked the same."""

    def __init__(self, link: FolderLink) -> None:
        self._link = link
        self._taking = link.folder / TAKING
        self._since: dict[Path, tuple[Look, float]] = {}
        self.odd_names = 0
        """Names of the last look that fit the pattern and are no plain file: links, folders, pipes."""

    def take_whole(self, now: float) -> list[Found]:
        """Take the link's first files that have not changed for its time; `now` is of any steady clock.

        What was taken before, and not finished since the service or the broker went away, comes again. Raise
        `Unavailable` when the folder can't be used.
        """
        with _explained(self._link.folder):
            self._make_places()
            self.odd_names = 0
            looks = chain(self._looks(self._taking), self._looks(self._link.folder))
            seen = heapq.nsmallest(MOST_REMEMBERED, looks, self._rank)
            since = {one.path: self._settled_since(one, now) for one in seen}
            whole = [one for one in seen if now - since[one.path][1] >= self._link.settle_seconds]
            self._since = since
            first = heapq.nsmallest(self._link.files_per_round, whole, self._rank)
            return [taken for one in first if (taken := self._taken(one)) is not None]

    def _make_places(self) -> None:
        for name in (TAKING, DONE, REFUSED):
            place = self._link.folder / name
            if not place.exists():
                _make_place(place, is_ours=name == TAKING)
            if place.is_symlink():
                raise Unavailable(f"the folder's {name} is a link: it must be a folder of its own")

    def _rank(self, found: Found) -> tuple[int, str]:
        return (found.look.changed if self._link.order_by == "time" else 0, found.name)

    def _settled_since(self, found: Found, now: float) -> tuple[Look, float]:
        before = self._since.get(found.path)
        return before if before is not None and before[0] == found.look else (found.look, now)

    def _looks(self, folder: Path) -> Iterator[Found]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not self._link.takes(entry.name):
                    continue
                status = _status(entry)
                if status is not None and stat.S_ISREG(status.st_mode):
                    yield Found(folder, entry.name, _look(status))
                else:
                    self.odd_names += status is not None

    def _taken(self, found: Found) -> Found | None:
        """Have the file in `taking`; not while one of its name is there that is not finished."""
        if found.folder == self._taking:
            return found
        taken = replace(found, folder=self._taking)
        if taken.path.exists():
            return None
        try:
            found.path.rename(taken.path)
        except FileNotFoundError:  # its sender took it away again
            return None
        self._since[taken.path] = self._since.pop(found.path)
        return taken

    def finish(self, found: Found, digest: str, reasons: Iterable[bytes] | None) -> None:
        """Put the file into `done`, or, with reasons, into `refused` beside them, for good.

        A name that is taken there by another file gets a part of the digest; the same file again takes its own place,
        so that a repeat after a crash leaves one. Raise `Unavailable` when the folder does not let it.
        """
        place = self._link.folder / (DONE if reasons is None else REFUSED)
        with _explained(self._link.folder):
            target = place / found.name
            if target.exists() and _digest_of(target) != digest:
                target = place / f"{target.stem}.{digest[:12]}{target.suffix}"
            if reasons is not None:
                _write(target.with_name(target.name + REASONS), reasons)
            found.path.replace(target)
            for folder in (place, found.folder):
                sync(folder)
        self._since.pop(found.path, None)


def open_found(found: Found) -> BufferedReader:
    """Open a file as it was found, or raise `FileMoved`; nothing but a plain file is opened."""
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileMoved from error
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or _look(status) != found.look:
        file.close()
        raise FileMoved
    return file


def still_is(found: Found) -> bool:
    """Say whether the file is as it was found."""
    try:
        return _look(found.path.lstat()) == found.look
    except OSError:
        return False


def _look(status: os.stat_result) -> Look:
    return Look(status.st_mtime_ns, status.st_size, status.st_ino)


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:  # taken away meanwhile
        return None


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_place(place: Path, *, is_ours: bool) -> None:
    """Make a folder in the link's: who may read the link's reads it too, unless it is ours alone, whatever the umask."""
    place.mkdir(exist_ok=True)
    if not is_ours:
        _let_read(place, stat.S_IMODE(place.parent.stat().st_mode))


def _let_read(path: Path, mode: int) -> None:
    with suppress(PermissionError):  # a share that knows no modes
        path.chmod(mode)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file that whoever may read its folder reads too."""
    half = path.with_name(f"{path.name}.writing")
    with half.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    _let_read(half, 0o600 | stat.S_IMODE(path.parent.stat().st_mode) & 0o044)
    half.replace(path)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say that the link's folder is away, and why, without the name of a file in it."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the folder {folder} can't be used: {error.strerror or type(error).__name__}") from error
