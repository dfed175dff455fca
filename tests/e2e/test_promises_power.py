"""The disk that loses its power, and the object store on it: what was synced stays, and what was not is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from overread.contracts.errors import OverreadError
from overread.runtime.object_store import LocalObjectStore, make_root
from tests.e2e.disk import Disk

CONTENT = b"a slice of a series" * 1_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Yield a disk of its own, or skip with a word."""
    made = Disk.made_in(tmp_path)
    if made is None:
        pytest.skip("a disk that can lose its power needs root, a loop device and mkfs.ext4")
    make_root(made.folder)
    yield made
    made.leave()


def test_object_that_was_stored_is_there_after_a_power_cut(disk: Disk) -> None:
    """REQ-ACK-02: file and folders are on the disk before `write` returns."""
    keys = [f"site/studies/2.25.1/2.25.1.{number}/receipt" for number in range(20)]
    for key in keys:
        LocalObjectStore(disk.folder).write(key, [CONTENT])

    disk.cut()
    has_forgotten = disk.come_back()

    store = LocalObjectStore(disk.folder)
    assert has_forgotten
    assert [store.read(key) for key in keys] == [CONTENT] * 20


def test_object_whose_syncs_were_left_out_is_not(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof has teeth: without `fsync` the same cut takes the object away."""
    monkeypatch.setattr("overread.runtime.object_store.os.fsync", lambda _handle: None)
    LocalObjectStore(disk.folder).write("site/studies/2.25.1/2.25.1.1/receipt", [CONTENT])
    monkeypatch.undo()

    disk.cut()
    disk.come_back()

    store = LocalObjectStore(disk.folder)
    try:
        left = store.read("site/studies/2.25.1/2.25.1.1/receipt")
    except OverreadError:
        left = b""
    assert left != CONTENT
