"""Files and folders that a power cut leaves where they were put: what is named is synced, and so is its name.

POSIX, fsync(): a file's own sync says nothing of the entry by which its folder knows it; the folder has one of its own.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

PRIVATE = 0o600
READABLE = 0o644


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path` whole or not at all, for good, readable by its owner alone."""
    put_whole(path, text.encode(), mode=PRIVATE)


def put_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Put `content` at `path` whole or not at all, for good, in place of what is there; `mode` counts, no umask."""
    half = _half(path)
    _write(half, content, mode)
    with contextlib.suppress(PermissionError):  # a share that knows no modes
        half.chmod(mode)
    half.replace(path)
    sync(path.parent)


def replace_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Put `text` at `path` whole or not at all, for good; a file that was there keeps its mode, a link its target."""
    place = path.resolve()
    half = _half(place)
    _write(half, text.encode(), mode)
    half.chmod(stat.S_IMODE(place.stat().st_mode) if place.exists() else mode)
    half.replace(place)
    sync(place.parent)


def write_once(path: Path, content: bytes, *, mode: int = PRIVATE) -> bool:
    """Have a file at `path` for good: this one, unless somebody was there first; say whether it is this one.

    Who comes second syncs the name too: the first may have died, or be busy, between naming the file and its sync.
    """
    half = _half(path)
    _write(half, content, mode)
    try:
        path.hardlink_to(half)
    except FileExistsError:
        return False
    else:
        return True
    finally:
        half.unlink()
        sync(path.parent)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Have `folder` there for good, with every folder above it that is missing."""
    named = [folder, *(above for above in folder.parents if not above.exists())]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for one in reversed(named):
        with contextlib.suppress(PermissionError):  # what we may not read, somebody else made
            sync(one.parent)


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


def _half(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _write(half: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
