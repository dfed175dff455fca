"""What a power cut would leave: a file whose content was synced, under a name that its folder held when it was synced."""

import os
from pathlib import Path

import pytest


class SyncedNames:
    """Watches every `fsync` of this process; nothing else counts as on disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fsync = os.fsync
        self._contents: set[int] = set()
        self._names: dict[Path, dict[str, int]] = {}
        monkeypatch.setattr(os, "fsync", self._synced)

    def keep(self, path: Path) -> bool:
        """Say whether a power cut now would leave at `path` what is there."""
        inode = path.stat().st_ino
        has_content = path.is_dir() or inode in self._contents
        return has_content and self._names.get(path.parent, {}).get(path.name) == inode

    def lost(self, *paths: Path) -> list[str]:
        """Return which of `paths` a power cut now would take away."""
        return sorted(path.name for path in paths if not self.keep(path))

    def _synced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._contents.add(os.fstat(descriptor).st_ino)
