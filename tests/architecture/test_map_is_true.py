"""The map of topics says what the services do: each consumes exactly what `topics.py` gives it."""

import importlib
from pathlib import Path

import pytest
from pydantic import SecretStr

from overread.contracts.topics import SERVICES, TOPICS, read_by
from overread.embedded.places import CHECKOUT
from overread.runtime.service import Service
from overread.runtime.settings import ServiceSettings

SETTINGS = {
    "hl7_intake": "HL7IntakeSettings",
    "order_intake": "OrderIntakeSettings",
    "dicom_intake": "DicomIntakeSettings",
    "archive": "ArchiveSettings",
    "assembly": "AssemblySettings",
    "routing": "RoutingSettings",
    "inference_worker": "InferenceWorkerSettings",
    "review": "ReviewSettings",
    "delivery": "DeliverySettings",
    "governance": "GovernanceSettings",
    "dicomweb": "DicomwebSettings",
    "ops": "OpsSettings",
}
NOT_BUILT = {service for topic in TOPICS for service in topic.not_yet} - set(SETTINGS)


def a_service(name: str, folder: Path) -> Service:
    app = importlib.import_module(f"overread.{name}.app")
    settings: type[ServiceSettings] = getattr(importlib.import_module(f"overread.{name}.settings"), SETTINGS[name])
    told = settings(
        object_root=folder,
        database_dsn=SecretStr("postgresql:///nowhere"),
        models_file=CHECKOUT / "inference" / "models.toml",
        review_key_password=SecretStr("a password of a test"),
        front_secret=SecretStr("a secret of a test"),
        archive_dsn=SecretStr("postgresql:///nowhere"),
        http_socket=folder / "http.sock",
    )
    service: Service = app.make_service(told)
    return service


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_each_service_consumes_what_the_map_says(name: str, tmp_path: Path) -> None:
    """A newcomer who follows topics.py alone is never sent to a service that does not listen."""
    service = a_service(name, tmp_path)

    assert sorted(service.consumptions) == sorted(topic.name for topic in read_by(name))


def test_every_service_of_the_map_is_built_or_named_as_not_yet() -> None:
    """What is not built has no folder, and the map says so."""
    folders = {path.parent.name for path in (CHECKOUT / "services" / "overread").glob("*/app.py")} - {"cli"}

    assert folders == set(SETTINGS)
    assert set(SERVICES) - folders == NOT_BUILT
