from pathlib import Path

import pytest

from overread.embedded.credentials import Credentials
from overread.embedded.endpoints import Endpoints
from overread.embedded.places import DataFolder, Ports, StackError


def test_all_ports_move_together() -> None:
    """A second stack on one machine shifts every port."""
    moved = {name: port - 1000 for name, port in Ports(offset=1000).named().items()}

    assert moved == Ports().named()


@pytest.mark.parametrize("offset", [-1, 13_001])
def test_offset_outside_its_range_is_refused(offset: int) -> None:
    """Above 13000 Kafka would enter the ephemeral range."""
    with pytest.raises(StackError, match="OVERREAD_PORT_OFFSET"):
        Ports(offset=offset)


def test_sockets_of_a_deep_folder_fit_into_an_address(tmp_path: Path) -> None:
    """unix(7): 107 bytes."""
    deep = DataFolder(tmp_path / ("d" * 100))

    longest = max(len(str(deep.service_socket("inference_worker"))), len(str(deep.postgres_sockets / ".s.PGSQL.5432")))

    assert longest <= 107


def test_folder_of_sockets_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """In /tmp anybody may have been there first."""
    data = DataFolder(tmp_path / "data")
    data.root.mkdir()
    data.run.symlink_to(tmp_path)

    with pytest.raises(StackError, match="belongs to somebody else"):
        data.make()


def test_password_is_made_once_and_private(tmp_path: Path) -> None:
    """Secrets are their owner's alone, and outlive a restart."""
    first = Credentials(tmp_path).password("kafka-review")

    assert Credentials(tmp_path).password("kafka-review") == first
    assert (tmp_path / "kafka-review").stat().st_mode & 0o777 == 0o600
    assert len(first) >= 32


def test_two_that_start_at_once_agree_on_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second takes what the first wrote."""
    first, second = Credentials(tmp_path), Credentials(tmp_path)
    made = first.password("kafka-review")
    monkeypatch.setattr(Path, "exists", lambda _: False)

    assert second.password("kafka-review") == made


def test_service_is_told_its_own_user_and_no_database_it_does_not_own(tmp_path: Path) -> None:
    """Stateless services have no role."""
    data = DataFolder(tmp_path)
    data.make()
    endpoints = Endpoints(data=data, ports=Ports(offset=100))

    routing, review = (endpoints.environment_of(name) for name in ("routing", "review"))

    assert routing["OVERREAD_KAFKA_USERNAME"] == "routing"
    assert "OVERREAD_DATABASE_DSN" not in routing
    assert review["OVERREAD_DATABASE_DSN"].startswith("postgresql://review:")


def test_endpoints_of_a_folder_without_a_stack_say_what_to_do(tmp_path: Path) -> None:
    """An error names the next step."""
    with pytest.raises(StackError, match=r"no stack has run .* \./run up"):
        Endpoints.of(tmp_path)
