"""What is put on disk for good is there after a power cut, under its name (REQ-ACK-10)."""

import errno
import os
from pathlib import Path

import pytest

from overread.runtime import synced_files
from tests.fakes.power_cuts import SyncedNames


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SyncedNames:
    """Return what a power cut would leave."""
    return SyncedNames(monkeypatch)


def test_replaced_file_is_the_new_one_after_a_power_cut(disk: SyncedNames, tmp_path: Path) -> None:
    """A rename that was not synced brings the old content back."""
    path = tmp_path / "users.json"
    synced_files.write_private(path, "old")

    synced_files.write_private(path, "new")

    assert (path.read_text(), disk.keep(path), list(tmp_path.iterdir())) == ("new", True, [path])


def test_file_that_is_made_once_is_there_after_a_power_cut(disk: SyncedNames, tmp_path: Path) -> None:
    """Its name and its content, and nothing beside it."""
    path = tmp_path / "review-keys"

    is_ours = synced_files.write_once(path, b"first")

    assert (is_ours, disk.keep(path), list(tmp_path.iterdir())) == (True, True, [path])
    assert path.stat().st_mode & 0o777 == 0o600


def test_who_comes_second_keeps_what_the_first_named_and_did_not_sync(disk: SyncedNames, tmp_path: Path) -> None:
    """The first died between the name and its sync; what both use from now on must not be lost."""
    path = tmp_path / "review-keys"
    with path.open("wb") as file:
        file.write(b"first")
        file.flush()
        os.fsync(file.fileno())

    is_ours = synced_files.write_once(path, b"second")

    assert (is_ours, path.read_bytes(), disk.keep(path)) == (False, b"first", True)


def test_every_folder_that_is_made_is_there_after_a_power_cut(disk: SyncedNames, tmp_path: Path) -> None:
    """Also those above it."""
    folder = tmp_path / "srv" / "overread" / "data"

    synced_files.make_folder(folder, mode=0o700)

    assert disk.lost(folder, folder.parent, folder.parent.parent) == []


def test_folder_in_a_place_that_we_may_not_read_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who made it synced it: we could not have made it there."""
    folder = tmp_path / "data"
    folder.mkdir()

    def is_forbidden(_path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(synced_files, "sync", is_forbidden)

    synced_files.make_folder(folder)

    assert folder.is_dir()
