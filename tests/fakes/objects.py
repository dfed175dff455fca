"""An object store as set-up makes it, in a folder of a test."""

from pathlib import Path

from overread.runtime.object_store import LocalObjectStore, make_root


def an_object_store(root: Path, *, low_watermark_bytes: int = 0) -> LocalObjectStore:
    """Return a store on a disk with room."""
    make_root(root)
    return LocalObjectStore(root, low_watermark_bytes=low_watermark_bytes)
