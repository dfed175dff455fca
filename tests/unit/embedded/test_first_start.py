"""A power cut right after the first start leaves a folder that starts again (REQ-ACK-10)."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overread.embedded.credentials import Credentials
from overread.embedded.endpoints import Endpoints
from overread.embedded.places import DataFolder, Ports, StackError
from overread.embedded.profile import Profile
from overread.review.embedded_issuer import issuer_key
from overread.review.keys import publish_root
from overread.runtime.object_store import MARK, LocalObjectStore
from overread.runtime.signatures import make_site_ca
from tests.fakes.power_cuts import SyncedNames


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SyncedNames:
    """Return what a power cut would leave."""
    return SyncedNames(monkeypatch)


def files_below(folder: Path) -> list[Path]:
    """Return every file of the folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_all_that_a_first_start_makes_is_there_after_a_power_cut(disk: SyncedNames, tmp_path: Path) -> None:
    """Database, broker and keys are made with these passwords: one that is lost is never found again."""
    stack = Profile(data_dir=tmp_path / "srv" / "data").stack()

    stack.endpoints.record()
    stack._configure()
    stack.endpoints.environment_of("review")

    data = stack.data
    folders = (data.root.parent, data.root, data.secrets, data.config, data.objects, data.kafka, data.postgres)
    assert {"review-keys", "kafka-review", "postgres-review", "first-users.txt", "users.json", "stack.json", MARK} <= {
        path.name for path in files_below(data.root)
    }
    assert disk.lost(*folders, data.config / "delivery", *files_below(data.root)) == []


def test_password_is_on_disk_before_it_is_used(disk: SyncedNames, tmp_path: Path) -> None:
    """A password that comes back another one leaves clinicians' keys that nobody can open."""
    Credentials(tmp_path).password("review-keys")

    assert disk.keep(tmp_path / "review-keys")


def test_next_start_keeps_what_the_first_one_named_and_did_not_sync(disk: SyncedNames, tmp_path: Path) -> None:
    """The first start was killed between the name and its sync; what it made the database with stays."""
    data = DataFolder(tmp_path)
    data.make()
    password = data.secrets / "postgres-review"
    with password.open("w") as file:
        file.write("a password")
        file.flush()
        os.fsync(file.fileno())

    data.make()

    assert disk.keep(password)


def test_keys_that_review_makes_are_there_after_a_power_cut(disk: SyncedNames, tmp_path: Path) -> None:
    """The issuer's key, and the root by which delivery judges signatures."""
    root = tmp_path / "delivery" / "site-ca-root.pem"

    issuer_key(tmp_path)
    publish_root(make_site_ca("site", now=datetime(2026, 11, 26, tzinfo=UTC), password=b"a password"), root)

    assert disk.lost(tmp_path / "issuer-key.json", root.parent, root) == []
    assert root.stat().st_mode & 0o777 == 0o644 & ~_umask()


def test_first_start_makes_the_object_store(tmp_path: Path) -> None:
    """Set-up alone makes its root."""
    endpoints = a_started_stack(tmp_path)

    LocalObjectStore(endpoints.objects, low_watermark_bytes=0).write("site/a", [b"x"])

    assert (endpoints.objects / "site" / "a").read_bytes() == b"x"


def test_start_without_the_volume_of_objects_is_refused(tmp_path: Path) -> None:
    """What would be stored in the empty folder is hidden once the volume is back."""
    endpoints = a_started_stack(tmp_path)
    (endpoints.objects / MARK).unlink()

    with pytest.raises(StackError, match="its volume is not mounted; mount it, and start again"):
        a_started_stack(tmp_path)

    assert list(endpoints.objects.iterdir()) == []


def test_folder_of_an_earlier_version_gets_its_mark_once(tmp_path: Path) -> None:
    """Its object store was made without one."""
    endpoints = a_started_stack(tmp_path)
    (endpoints.objects / MARK).unlink()
    (tmp_path / "stack.json").write_text(json.dumps({"port_offset": 0, "site_id": "demo-hospital"}))

    a_started_stack(tmp_path)

    assert (endpoints.objects / MARK).exists()


def a_started_stack(folder: Path) -> Endpoints:
    """Return the endpoints of a stack that has begun to start on `folder`."""
    data = DataFolder(folder)
    data.make()
    endpoints = Endpoints.at(data, Ports(), None)
    endpoints.record()
    return endpoints


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
