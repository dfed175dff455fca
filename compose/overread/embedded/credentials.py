import contextlib
import os
import secrets
from pathlib import Path


class Credentials:
    """The stack's generated passwords: one file each, readable by their owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def password(self, name: str) -> str:
        """Return the password called `name`; the first caller makes it."""
        path = self._folder / name
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(24))
        return path.read_text().strip()


def _write_once(path: Path, text: str) -> None:
    """Put `text` at `path` unless somebody was there first: two that start at once agree on one password."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(made, text)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(made)
    made.unlink()


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path` whole or not at all, readable by its owner alone."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    sync(path.parent)


def rename_synced(folder: Path, place: Path) -> None:
    """Put `folder` at `place` for good, with all that is in it: a power cut that follows finds it there, whole."""
    for root, _, names in os.walk(folder):
        for path in (*(Path(root, name) for name in names), Path(root)):
            if not path.is_symlink():
                sync(path)
    folder.rename(place)
    sync(place.parent)


def sync(path: Path) -> None:
    """Have what is at `path`, a file or the entries of a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
