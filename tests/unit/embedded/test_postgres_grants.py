import pytest

from overread.embedded.postgres import STATE_OWNERS, grants, schema_of


@pytest.fixture
def statements() -> list[str]:
    return grants(dict.fromkeys(STATE_OWNERS, "secret"))


def test_each_owner_gets_a_schema_of_its_own(statements: list[str]) -> None:
    """A schema and a role per service that owns state."""
    for owner in STATE_OWNERS:
        assert f"CREATE SCHEMA IF NOT EXISTS {schema_of(owner)} AUTHORIZATION {owner}" in statements


def test_nobody_is_granted_anything_in_a_schema_of_another(statements: list[str]) -> None:
    """No service reads another's: a schema has its owner and no grant."""
    assert [line for line in statements if "SCHEMA" in line and "GRANT" in line and "REVOKE" not in line] == []


def test_public_may_nothing(statements: list[str]) -> None:
    """PostgreSQL's default lets every role into every database and into schema public."""
    assert {"REVOKE ALL ON DATABASE overread FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC"} <= set(statements)


def test_the_jobs_are_in_schema_inference() -> None:
    """DESIGN names the table `inference.jobs`; its owner is the worker."""
    assert schema_of("inference_worker") == "inference"
