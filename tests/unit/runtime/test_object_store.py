"""Acknowledged means kept: what the store says is there survives a power cut (promise 1)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.errors import Malformed, Unavailable
from overread.runtime.object_store import MARK, LocalObjectStore, ObjectMissing, ObjectUnreadable
from tests.fakes.objects import an_object_store

KEY = "site/studies/1.2.3/1.2.3.4/receipt"


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    """Return a new store, on a disk with room."""
    return an_object_store(tmp_path / "objects")


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Return what is synced, made and renamed, in order, as (act, path below the store)."""
    done: list[tuple[str, str]] = []

    def named(path: str | os.PathLike[str]) -> str:
        return Path(path).relative_to(tmp_path).as_posix()

    def watched(act: str, real: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = real(*arguments, **options)
            done.append((act, path_of(*arguments)))
            return answer

        return call

    monkeypatch.setattr(
        os, "fsync", watched("fsync", os.fsync, lambda fd: named(Path(f"/proc/self/fd/{fd}").readlink()))
    )
    monkeypatch.setattr(Path, "rename", watched("rename", Path.rename, lambda _, target: named(target)))
    monkeypatch.setattr(Path, "mkdir", watched("mkdir", Path.mkdir, lambda path, *_: named(path)))
    return done


async def test_object_comes_back_byte_for_byte(store: LocalObjectStore) -> None:
    """Parts are joined; any kind of buffer will do."""
    await store.put(KEY, [b"head", bytearray(b"er"), memoryview(b" and pixels")])

    assert await store.get(KEY) == b"header and pixels"


async def test_put_syncs_file_then_names_it_then_syncs_the_folder(
    store: LocalObjectStore, acts: list[tuple[str, str]]
) -> None:
    """Temp file, fsync, rename, fsync of the folder: in this order, and nothing is left out."""
    await store.put(KEY, [b"x"])

    temporary = next(path for act, path in acts if act == "fsync" and "/." in path)
    assert acts[-3:] == [("fsync", temporary), ("rename", f"objects/{KEY}"), ("fsync", f"objects/{Path(KEY).parent}")]


async def test_each_new_folder_is_synced_in_its_parent(store: LocalObjectStore, acts: list[tuple[str, str]]) -> None:
    """A file in a folder whose own name was never synced is gone after a power cut."""
    await store.put(KEY, [b"x"])

    for folder in (
        "objects/site",
        "objects/site/studies",
        "objects/site/studies/1.2.3",
        "objects/site/studies/1.2.3/1.2.3.4",
    ):
        assert acts.index(("fsync", str(Path(folder).parent))) > acts.index(("mkdir", folder))


async def test_folder_that_somebody_else_made_is_synced_too(
    store: LocalObjectStore, acts: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Its maker may have died, or be busy, before syncing its name."""
    (tmp_path / "objects" / "site" / "studies").mkdir(parents=True)

    await store.put(KEY, [b"x"])

    assert {("fsync", "objects"), ("fsync", "objects/site")} <= set(acts)


async def test_second_object_in_known_folders_syncs_only_what_is_new(
    store: LocalObjectStore, acts: list[tuple[str, str]]
) -> None:
    """Durability costs two syncs an object, not one for each level above it."""
    await store.put("site/studies/1/a", [b"x"])
    acts.clear()

    await store.put("site/studies/1/b", [b"x"])

    assert [act for act, _ in acts if act == "fsync"] == ["fsync", "fsync"]


async def test_existing_key_keeps_its_content_and_is_synced_again(
    store: LocalObjectStore, acts: list[tuple[str, str]]
) -> None:
    """The same key has the same content; but its first writer may have died before the folder's sync."""
    await store.put(KEY, [b"first"])
    acts.clear()

    await store.put(KEY, [b"second"])

    assert await store.get(KEY) == b"first"
    assert acts == [("fsync", f"objects/{KEY}"), ("fsync", f"objects/{Path(KEY).parent}")]


async def test_put_fails_when_the_sync_fails(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be synced is not acknowledged, and leaves no file under the key."""
    monkeypatch.setattr(os, "fsync", _failing(errno.EIO))

    with pytest.raises(Unavailable):
        await store.put(KEY, [b"x"])

    monkeypatch.undo()
    with pytest.raises(ObjectMissing):
        await store.get(KEY)


async def test_full_disk_is_unavailable_and_leaves_no_half_file(
    store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What we can't keep is refused with its protocol's code: the intake hears `Unavailable`."""
    monkeypatch.setattr(Path, "rename", _failing(errno.ENOSPC))

    with pytest.raises(Unavailable, match="no room"):
        await store.put(KEY, [b"x"])

    assert files_below(tmp_path) == [tmp_path / "objects" / MARK]


async def test_low_watermark_refuses_before_the_disk_is_full(tmp_path: Path) -> None:
    """Intake that can't keep says so, and never fills the disk under the database."""
    store = an_object_store(tmp_path, low_watermark_bytes=1 << 62)

    with pytest.raises(Unavailable, match="watermark"):
        await store.put(KEY, [b"x"])
    with pytest.raises(Unavailable, match="watermark"):
        await store.ping()


@pytest.mark.parametrize("key", ["/etc/passwd", "../x", "site/../../x", "", ".", "site/a\0b"])
async def test_key_that_leaves_the_store_is_refused(store: LocalObjectStore, key: str) -> None:
    """A key is made of what strangers sent."""
    with pytest.raises(Malformed):
        await store.put(key, [b"x"])
    with pytest.raises(Malformed):
        await store.get(key)


async def test_missing_object_is_named_by_its_key(store: LocalObjectStore) -> None:
    """An operator can look for it."""
    with pytest.raises(ObjectMissing, match="1\\.2\\.3"):
        await store.get(KEY)


@pytest.mark.parametrize(("number", "is_its_own"), [(errno.EIO, True), (errno.EACCES, True), (errno.EMFILE, False)])
async def test_one_file_that_can_not_be_read_is_told_from_a_store_that_does_not_answer(
    store: LocalObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, number: int, is_its_own: bool
) -> None:
    """REQ-OUT-29: a bad sector is one file's; too many open files are nobody's, and neither is a volume that went away."""
    await store.put(KEY, [b"x"])

    def fails(_path: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", fails)

    with pytest.raises(Unavailable) as met:
        await store.get(KEY)
    (tmp_path / "objects" / MARK).unlink()
    with pytest.raises(Unavailable) as unmounted:
        await store.get(KEY)
    assert [isinstance(each.value, ObjectUnreadable) for each in (met, unmounted)] == [is_its_own, False]


async def test_objects_since_a_moment_are_found_by_when_they_got_their_name(
    store: LocalObjectStore, tmp_path: Path
) -> None:
    """A file written before the checkpoint but named after it must be announced again."""
    await store.put("site/studies/old/a", [b"x"])
    await store.put("site/studies/new/b", [b"x"])
    os.utime(tmp_path / "objects" / "site" / "studies" / "old", (1_000, 1_000))
    os.utime(tmp_path / "objects" / "site" / "studies" / "new" / "b", (1_000, 1_000))

    assert list(store.objects_stored_since("site/studies", 2_000)) == ["site/studies/new/b"]


@pytest.fixture(params=["empty folder", "no folder"])
def unmounted(request: pytest.FixtureRequest, tmp_path: Path) -> LocalObjectStore:
    """Return a store whose volume is not mounted: an empty folder, or none, stands in its place."""
    root = tmp_path / "objects"
    if request.param == "empty folder":
        root.mkdir()
    return LocalObjectStore(root, low_watermark_bytes=0)


async def test_store_whose_volume_is_not_mounted_takes_nothing(unmounted: LocalObjectStore, tmp_path: Path) -> None:
    """REQ-ACK-11: what would be kept on the disk below is hidden once the volume is back."""
    with pytest.raises(Unavailable, match="not mounted"):
        await unmounted.put(KEY, [b"x"])
    with pytest.raises(Unavailable, match="not mounted"):
        await unmounted.ping()

    assert files_below(tmp_path) == []


async def test_store_whose_volume_is_not_mounted_has_lost_nothing(unmounted: LocalObjectStore) -> None:
    """REQ-ACK-11: readers wait for it; 'missing' would set a record aside, and end a sweep that saw nothing."""
    with pytest.raises(Unavailable, match="not mounted"):
        await unmounted.get(KEY)
    with pytest.raises(Unavailable, match="not mounted"):
        unmounted.open(KEY)
    with pytest.raises(Unavailable, match="not mounted"):
        list(unmounted.objects_stored_since("site/studies", 0))


async def test_object_whose_volume_went_away_while_it_was_written_is_not_kept(
    store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """REQ-ACK-11: the file may lie in the folder below the mount."""
    rename = Path.rename

    def rename_as_the_volume_goes(path: Path, target: Path) -> None:
        rename(path, target)
        (tmp_path / "objects" / MARK).unlink()

    monkeypatch.setattr(Path, "rename", rename_as_the_volume_goes)

    with pytest.raises(Unavailable, match="not mounted"):
        await store.put(KEY, [b"x"])


async def test_sweep_whose_volume_goes_away_does_not_look_like_the_end(store: LocalObjectStore, tmp_path: Path) -> None:
    """REQ-ACK-11: what was not looked at must not count as told."""
    await store.put("site/studies/1/a", [b"x"])
    found = store.objects_stored_since("site/studies", 0)
    first = next(found)

    (tmp_path / "objects" / MARK).unlink()

    assert first == "site/studies/1/a"
    with pytest.raises(Unavailable, match="not mounted"):
        next(found)


def files_below(folder: Path) -> list[Path]:
    """Return every file, hidden ones too."""
    return [path for path in folder.rglob("*") if path.is_file()]


def _failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail
