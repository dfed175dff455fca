import pytest

from overread.embedded.postgres import ARCHIVE_READER, ROLES, STATE_OWNERS, grants, schema_of


@pytest.fixture
def statements() -> list[str]:
    return grants(dict.fromkeys(ROLES, "secret"))


def test_each_owner_gets_a_schema_of_its_own(statements: list[str]) -> None:
    """A schema and a role per service that owns state."""
    for owner in STATE_OWNERS:
        assert f"CREATE SCHEMA IF NOT EXISTS {schema_of(owner)} AUTHORIZATION {owner}" in statements


def test_only_archive_is_read_by_another_and_only_read(statements: list[str]) -> None:
    """No service reads another's: the one written exception is archive's tables, under a role that may do nothing else."""
    granted = [line for line in statements if "SCHEMA" in line and "GRANT" in line and "REVOKE" not in line]

    assert granted == [
        f"GRANT USAGE ON SCHEMA archive TO {ARCHIVE_READER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA archive TO {ARCHIVE_READER}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE archive IN SCHEMA archive GRANT SELECT ON TABLES TO {ARCHIVE_READER}",
    ]


def test_public_may_nothing(statements: list[str]) -> None:
    """PostgreSQL's default lets every role into every database and into schema public."""
    assert {"REVOKE ALL ON DATABASE overread FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC"} <= set(statements)


def test_the_jobs_are_in_schema_inference() -> None:
    """DESIGN names the table `inference.jobs`; its owner is the worker."""
    assert schema_of("inference_worker") == "inference"
