"""A disk that can lose its power: an ext4 file system of its own, shut down without writing what was not synced.

EXT4_IOC_SHUTDOWN with NOLOGFLUSH (what xfstests' `godown` does) stops the file system at once: pages and log records
that no fsync had brought to the disk are never written. Mounted again, the journal is recovered, as after a power cut.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
ROOM = "12G"
NEVER_BY_ITSELF = "loop,commit=300"
"""The journal is committed when something asks for it, not every five seconds."""

GONE_SECONDS = 30.0
CANARY = "not-synced"


@dataclass(frozen=True)
class Disk:
    """An image file, and the folder where it is mounted."""

    image: Path
    folder: Path

    @classmethod
    def made_in(cls, place: Path) -> "Disk | None":
        """Return a new disk mounted below `place`; None where this machine can't: no root, no loop device, no ext4."""
        disk = cls(place / "image", place / "d")
        if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount", "truncate")):
            return None
        disk.folder.mkdir(mode=0o711)
        try:
            _run("truncate", "--size", ROOM, str(disk.image))
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(disk.image))
            disk.mount()
        except subprocess.CalledProcessError:
            disk.image.unlink(missing_ok=True)
            return None
        disk.folder.chmod(0o711)
        return disk

    def mount(self) -> None:
        """Mount it; after a cut, its journal is recovered first."""
        _run("mount", "-o", NEVER_BY_ITSELF, str(self.image), str(self.folder))

    def cut(self) -> None:
        """Let the power fail, just after something was written that nobody synced; every write from now on fails."""
        (self.folder / CANARY).write_text("written, and not synced")
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)

    def come_back(self) -> bool:
        """Mount it again, once nobody uses it any more; say whether it forgot what was not synced."""
        self._unmount()
        self.mount()
        canary = self.folder / CANARY
        return not canary.exists() or canary.stat().st_size == 0

    def _unmount(self) -> None:
        """Unmount it: who was killed lets go of its files a moment after it is gone from the list of processes."""
        deadline = time.monotonic() + GONE_SECONDS
        while True:
            try:
                _run("umount", str(self.folder))
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def leave(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)  # its own
        self.image.unlink(missing_ok=True)


def a_disk_or_folder(place: Path) -> tuple[Disk | None, Path]:
    """Return a disk and where it is mounted; a plain folder where there can be no disk."""
    disk = Disk.made_in(place)
    return disk, disk.folder if disk else place


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
