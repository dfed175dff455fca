import argparse
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from overread.cli import up
from overread.delivery import destinations
from overread.embedded.caller import CallerSettings
from overread.embedded.places import DataFolder, StackError
from overread.embedded.profile import Profile


def a_profile(folder: Path, **changed: str) -> Profile:
    """Return what `./run up --data folder` makes of these settings of the caller."""
    told = argparse.Namespace(data=folder, emr=None, pacs=None, fhir=None, fhir_token_file=None)
    return up.profile_of(told, {f"OVERREAD_{name}": value for name, value in changed.items()})


def told_to(profile: Profile, service: str) -> dict[str, str]:
    """Return the whole environment that a service of the profile is given."""
    stack = profile.stack()
    [spec] = [spec for spec in profile.services(stack.endpoints) if spec.name == service]
    return stack.environment_of(spec)


def test_callers_settings_reach_every_service(tmp_path: Path) -> None:
    """Each default of DESIGN is settable by OVERREAD_*, under ./run up too."""
    profile = a_profile(tmp_path, QUIET_SECONDS="30", HOSPITAL_TIME_ZONE="Europe/Paris")

    told = told_to(profile, "assembly")

    assert (told["OVERREAD_QUIET_SECONDS"], told["OVERREAD_HOSPITAL_TIME_ZONE"]) == ("30", "Europe/Paris")


def test_what_the_stack_decides_is_not_the_callers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses, credentials and loopback are the stack's; that a setting is left out is said."""
    profile = a_profile(
        tmp_path, KAFKA_USERNAME="admin", DATABASE_DSN="postgresql://x", MLLP_HOST="0.0.0.0", PASSWORD="secret"
    )

    told = told_to(profile, "hl7_intake")

    assert told["OVERREAD_KAFKA_USERNAME"] == "hl7_intake"
    assert {"OVERREAD_DATABASE_DSN", "OVERREAD_MLLP_HOST", "OVERREAD_PASSWORD"}.isdisjoint(told)
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()] == [
        "OVERREAD_DATABASE_DSN",
        "OVERREAD_KAFKA_USERNAME",
        "OVERREAD_MLLP_HOST",
    ]


def test_demo_profile_can_not_be_switched_on_by_the_caller(tmp_path: Path) -> None:
    """Sign-in without a password is the demo's alone, which marks every page and message."""
    profile = a_profile(tmp_path, DEMO_PROFILE="1")

    assert told_to(profile, "review")["OVERREAD_DEMO_PROFILE"] == "0"


def test_nothing_of_the_caller_is_lost_unsaid() -> None:
    """What begins with OVERREAD_ is passed on, left out by name, or read by a command."""
    said = CallerSettings.of(
        {"OVERREAD_SLOTS": "4", "OVERREAD_KAFKA_BOOTSTRAP": "x", "OVERREAD_DATA_DIR": "d", "HOME": "/"}
    )

    assert (said.passed_on, said.left_out) == ({"OVERREAD_SLOTS": "4"}, ("OVERREAD_KAFKA_BOOTSTRAP",))


def test_callers_destinations_are_used_when_no_emr_is_named(tmp_path: Path) -> None:
    """`--emr` is the short way; the file is the whole one."""
    profile = a_profile(tmp_path, DESTINATIONS="mine.toml")
    short = Profile(data_dir=tmp_path, emr="mllp://127.0.0.1:2580", settings=profile.settings)

    assert told_to(profile, "delivery")["OVERREAD_DESTINATIONS"] == "mine.toml"
    assert told_to(short, "delivery")["OVERREAD_DESTINATIONS"].startswith(str(tmp_path))


def test_site_is_the_callers_and_stays_with_its_folder(tmp_path: Path) -> None:
    """Every key begins with the site: a folder belongs to one for ever."""
    first = a_profile(tmp_path, SITE_ID="tinh-a").stack()
    first.data.make()
    first.endpoints.record()

    again = a_profile(tmp_path).stack()
    other = a_profile(tmp_path, SITE_ID="tinh-b").stack()

    assert (first.endpoints.site_id, again.endpoints.site_id) == ("tinh-a", "tinh-a")
    with pytest.raises(StackError, match="belongs to the site tinh-a"):
        other.endpoints.record()


def test_site_that_can_not_begin_a_key_is_refused(tmp_path: Path) -> None:
    """Lower-case letters, digits and hyphens."""
    with pytest.raises(StackError, match="OVERREAD_SITE_ID is 'Bệnh viện'"):
        a_profile(tmp_path, SITE_ID="Bệnh viện").stack()


def test_ports_that_are_asked_for_are_the_ports_that_are_said(tmp_path: Path) -> None:
    """What is on screen is where it listens."""
    profile = a_profile(tmp_path, HTTP_PORT="9090")

    assert [line for line in up.addresses(profile) if "127.0.0.1:9090" in line]


def test_ports_of_links_are_not_guessed(tmp_path: Path) -> None:
    """A file of links says itself which ports there are; the default one may be none of them."""
    profile = a_profile(tmp_path, HL7_LINKS="/etc/links.toml")

    [line] = [line for line in up.addresses(profile) if line.startswith("HL7")]
    assert "127.0.0.1" not in line
    assert "overread links --file /etc/links.toml" in line


async def test_second_start_on_one_folder_changes_nothing_of_the_first(tmp_path: Path) -> None:
    """The configuration is written once the folder is ours alone."""
    running = Profile(data_dir=tmp_path, emr="mllp://127.0.0.1:2580").stack()
    running._take_folder()
    running._configure()
    destinations = tmp_path / "config" / "delivery" / "destinations.toml"
    before = destinations.read_text()

    with pytest.raises(StackError, match="another stack runs on"):
        await Profile(data_dir=tmp_path).stack().__aenter__()

    assert "2580" in before
    assert destinations.read_text() == before
    running._leave_folder()


def test_first_users_have_their_passwords_written_down(tmp_path: Path) -> None:
    """A start that was interrupted between the two files makes both again."""
    stack = Profile(data_dir=tmp_path).stack()
    (tmp_path / "config" / ".users.json.half").write_text("{half")

    stack._configure()

    names = [line.split()[0] for line in (tmp_path / "secrets" / "first-users.txt").read_text().splitlines()]
    assert names == ["radiologist", "ops", "reconciler", "integrator", "his"]
    assert (tmp_path / "config" / "users.json").exists()


def test_folders_with_patients_data_are_their_owners_alone(tmp_path: Path) -> None:
    """Images and raw messages: other users of the machine see nothing, also in a folder of an earlier version."""
    data = DataFolder(tmp_path / "data")
    data.objects.mkdir(parents=True)
    data.objects.chmod(0o755)

    data.make()

    folders = (data.objects, data.kafka, data.logs, data.config, data.secrets, data.postgres, data.run)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_new_data_folder_is_at_most_walked_through(tmp_path: Path) -> None:
    """As root, PostgreSQL runs as another user and has to reach its own folder."""
    data = DataFolder(tmp_path / "data")

    data.make()

    assert stat.S_IMODE(data.root.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_each_receiver_named_at_start_gets_its_own_form(tmp_path: Path) -> None:
    """`--emr`, `--pacs` and `--fhir` become one list of destinations, each told unverified results under its own word."""
    profile = Profile(
        data_dir=tmp_path,
        emr="mllp://127.0.0.1:2580",
        pacs="dicom://PACS@127.0.0.1:11113",
        fhir="http://127.0.0.1:8090/fhir",
        fhir_token_file=tmp_path / "token",
    )

    listed = destinations.parse(profile._destinations(), site_id="site")

    assert [(d.name, d.kind, d.send_unverified) for d in listed] == [
        ("emr", "hl7", "R"),
        ("pacs", "dicom", "unverified"),
        ("fhir", "fhir", "partial"),
    ]
    assert [line for line in up.addresses(profile) if line.startswith("delivery")] == [
        "delivery      results go to mllp://127.0.0.1:2580, unverified ones too, as R",
        "delivery      results go to dicom://PACS@127.0.0.1:11113, unverified ones too, as UNVERIFIED",
        "delivery      results go to http://127.0.0.1:8090/fhir, unverified ones too, as partial",
    ]


@pytest.mark.parametrize(
    ("option", "url", "said"),
    [
        ("emr", "http://127.0.0.1:2580", "mllp://HOST:PORT"),
        ("pacs", "dicom://127.0.0.1:11113", "--pacs"),
        ("fhir", "127.0.0.1:8090", "https://HOST/PATH"),
    ],
)
def test_an_address_that_can_not_be_one_is_refused_by_its_option(
    tmp_path: Path, option: str, url: str, said: str
) -> None:
    """The stack does not start with a receiver that is not what somebody meant."""
    told: dict[str, Any] = {"pacs": "dicom://PACS@127.0.0.1:11113", option: url}
    profile = Profile(data_dir=tmp_path, **told)

    with pytest.raises(StackError) as refused:
        profile.stack()

    assert f"--{option}" in str(refused.value)
    assert said in str(refused.value)
