"""A folder that is held open: names in it are used through its descriptor. Blocking.

Who may write in a folder may put a link, a pipe or a folder in the place of any name, and of the folder itself, at any
moment. So nothing here is followed, nothing that is there is written to, and nothing but a plain file is read.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """An open folder."""

    descriptor: int

    @property
    def mode(self) -> int:
        """Return who may do what in it."""
        return stat.S_IMODE(os.fstat(self.descriptor).st_mode)

    def status(self, name: str) -> os.stat_result | None:
        """Return what is there under `name`, itself and not what it leads to; None for nothing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BufferedReader | None:
        """Open a plain file to be read; None for everything else."""
        try:
            file = os.fdopen(os.open(name, _READ, dir_fd=self.descriptor), "rb")
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        return None

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Put a file under `name`, whole or not at all; whoever may read the folder reads it too."""
        half = f".{secrets.token_hex(8)}.writing"
        try:
            with os.fdopen(os.open(half, _NEW, 0o600, dir_fd=self.descriptor), "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
                _let_read(file.fileno(), 0o600 | self.mode & 0o044)
            os.replace(half, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:
            with suppress(OSError):
                os.unlink(half, dir_fd=self.descriptor)
            raise

    def let_read(self, other: "Place") -> None:
        """Let whoever may read `other` read this folder too, whatever the umask."""
        _let_read(self.descriptor, other.mode)

    def name_for(self, name: str, digest: str, beside: str) -> str:
        """Return a name like `name` for a file with `digest`: one that no other thing has, also with `beside` after it."""
        path = PurePath(name)
        for like in (name, f"{path.stem}.{digest[:12]}{path.suffix}"):
            if self._may_be(like, digest) and self._is_file_or_free(like + beside):
                return like
        return f"{path.stem}.{secrets.token_hex(6)}{path.suffix}"

    def sync(self) -> None:
        """Have the names in the folder on disk."""
        os.fsync(self.descriptor)

    def _may_be(self, name: str, digest: str) -> bool:
        if self.status(name) is None:
            return True
        file = self.open(name)
        if file is None:
            return False
        with file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest

    def _is_file_or_free(self, name: str) -> bool:
        found = self.status(name)
        return found is None or stat.S_ISREG(found.st_mode)


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    """Open a folder; its name may be a link, since whoever runs this chose it."""
    with _held(os.open(folder, _FOLDER)) as place:
        yield place


@contextmanager
def opened_in(outer: Place, name: str) -> Iterator[Place]:
    """Open the folder called `name` in another, and no link to one."""
    with _held(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=outer.descriptor)) as place:
        yield place


@contextmanager
def _held(descriptor: int) -> Iterator[Place]:
    try:
        yield Place(descriptor)
    finally:
        os.close(descriptor)


def _let_read(descriptor: int, mode: int) -> None:
    with suppress(PermissionError):  # a share that knows no modes
        os.fchmod(descriptor, mode)
