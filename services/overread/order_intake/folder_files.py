"""The folder itself: which files are whole, who has them, and where they go when they are done. Blocking.

A share may be a network's, so nothing here hears of changes: it looks. A whole file is first moved into `taking`: who drops
another one of the same name meanwhile overwrites nothing that was not read. Files are opened for what they are, never
through a link, so that a name can lead nowhere else. Moves are renames inside the folder: whole or not at all.
"""

import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import chain
from pathlib import Path

from overread.contracts.errors import Unavailable
from overread.order_intake.folder_places import Place, opened, opened_in
from overread.order_intake.folder_settings import FolderLink

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

    @contextmanager
    def _opened(self, *names: str) -> Iterator[list[Place]]:
        """Open folders in the link's, which come first in the list; none that is a link by now."""
        with ExitStack() as stack:
            outer = stack.enter_context(opened(self._link.folder))
            yield [outer, *(stack.enter_context(opened_in(outer, name)) for name in names)]

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
        with self._opened(TAKING) as (dropped, taking):
            if taking.status(found.name) is not None:
                return None
            try:
                os.rename(found.name, found.name, src_dir_fd=dropped.descriptor, dst_dir_fd=taking.descriptor)
            except FileNotFoundError:  # its sender took it away again
                return None
        self._since[taken.path] = self._since.pop(found.path)
        return taken

    def finish(self, found: Found, digest: str, reasons: Iterable[bytes] | None) -> None:
        """Put the file into `done`, or, with reasons, into `refused` beside them, for good.

        A name that is taken there by something else gets a part of the digest; the same file again takes its own place,
        so that a repeat after a crash leaves one. Raise `Unavailable` when the folder does not let it.
        """
        name = DONE if reasons is None else REFUSED
        with _explained(self._link.folder), self._opened(TAKING, name) as (_, taking, place):
            target = place.name_for(found.name, digest, REASONS)
            if reasons is not None:
                place.write(target + REASONS, reasons)
            os.replace(found.name, target, src_dir_fd=taking.descriptor, dst_dir_fd=place.descriptor)
            place.sync()
            taking.sync()
        self._since.pop(found.path, None)


def open_found(found: Found) -> BufferedReader:
    """Open a file as it was found, or raise `FileMoved`; nothing but a plain file is opened."""
    try:
        with opened(found.folder.parent) as outer, opened_in(outer, found.folder.name) as place:
            file = place.open(found.name)
    except OSError as error:
        raise FileMoved from error
    if file is None:
        raise FileMoved
    if _look(os.fstat(file.fileno())) != found.look:
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


def _make_place(place: Path, *, is_ours: bool) -> None:
    """Make a folder in the link's: who may read the link's reads it too, unless it is ours alone, whatever the umask."""
    place.mkdir(exist_ok=True)
    if not is_ours:
        with opened(place.parent) as outer, opened_in(outer, place.name) as made:
            made.let_read(outer)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say that the link's folder is away, and why, without the name of a file in it."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the folder {folder} can't be used: {error.strerror or type(error).__name__}") from error
