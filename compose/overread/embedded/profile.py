"""Which services make up the embedded stack, and what each is told beyond its address and its credentials."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overread.embedded.credentials import write_private
from overread.embedded.endpoints import Endpoints
from overread.embedded.keeper import Progress
from overread.embedded.places import CHECKOUT, DataFolder, Ports, StackError
from overread.embedded.supervisor import ServiceSpec, Stack, on_screen
from overread.review import users

MODELS_FILE = CHECKOUT / "inference" / "models.toml"
MLLP_PORT, DICOM_PORT, HTTP_PORT = 2575, 11112, 8080

SERVICES: tuple[str, ...] = (
    "hl7_intake",
    "dicom_intake",
    "archive",
    "assembly",
    "routing",
    "inference_worker",
    "review",
    "delivery",
    "governance",
)


@dataclass(frozen=True, kw_only=True)
class FirstUser:
    """A user that a new stack begins with; the password is made at first start and kept in the data folder."""

    username: str
    family_name: str
    given_name: str
    roles: tuple[str, ...]
    entitlements: tuple[str, ...]


FIRST_USERS: tuple[FirstUser, ...] = (
    FirstUser(
        username="radiologist",
        family_name="BÁC SĨ",
        given_name="MẪU",
        roles=("radiologist",),
        entitlements=("sign",),
    ),
    FirstUser(username="ops", family_name="VẬN HÀNH", given_name="MẪU", roles=("ops",), entitlements=()),
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one run of the stack is asked to be.

    `emr` is the `mllp://host:port` that results go to; `settings` are further `OVERREAD_*` for every service.
    `is_demo` lets the first users sign in without a password, and marks every token and message.
    """

    data_dir: Path
    port_offset: int = 0
    emr: str | None = None
    is_demo: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def stack(self, progress: Progress = on_screen) -> Stack:
        """Return the stack of all services, its configuration written; it is started by entering it."""
        data = DataFolder(self.data_dir)
        data.make()
        endpoints = Endpoints(data=data, ports=Ports(offset=self.port_offset))
        self._write_configuration(endpoints)
        return Stack(self.data_dir, port_offset=self.port_offset, services=self.services(endpoints), progress=progress)

    def services(self, endpoints: Endpoints) -> Sequence[ServiceSpec]:
        """Return every service with its own settings."""
        return [
            ServiceSpec(
                name=name,
                target=f"overread.{name}.app:main",
                environment={**self._told(name, endpoints), **self.settings},
                ports=_ports(name, self.port_offset),
            )
            for name in SERVICES
        ]

    def _told(self, service: str, endpoints: Endpoints) -> Mapping[str, str]:
        configuration = endpoints.data.root / "config"
        root = str(configuration / "delivery" / "site-ca-root.pem")
        told: Mapping[str, Mapping[str, str]] = {
            "routing": {"OVERREAD_MODELS_FILE": str(MODELS_FILE)},
            "inference_worker": {"OVERREAD_MODELS_FILE": str(MODELS_FILE)},
            "review": {
                "OVERREAD_REVIEW_KEY_PASSWORD": endpoints.credentials.password("review-keys"),
                "OVERREAD_SITE_CA_ROOT": root,
                "OVERREAD_USERS_FILE": str(configuration / "users.json"),
                "OVERREAD_SECRETS_DIR": str(endpoints.data.secrets),
                "OVERREAD_DEMO_PROFILE": "1" if self.is_demo else "0",
            },
            "delivery": {
                "OVERREAD_DESTINATIONS": str(configuration / "delivery" / "destinations.toml"),
                "OVERREAD_SITE_CA_ROOT": root,
            },
        }
        return told.get(service, {})

    def _write_configuration(self, endpoints: Endpoints) -> None:
        configuration = endpoints.data.root / "config"
        (configuration / "delivery").mkdir(parents=True, exist_ok=True)
        (configuration / "delivery" / "destinations.toml").write_text(self._destinations(), encoding="utf-8")
        users_file = configuration / "users.json"
        if not users_file.exists():
            _make_first_users(users_file, endpoints.data.secrets / "first-users.txt", is_demo=self.is_demo)

    def _destinations(self) -> str:
        """Return the destinations file: the EMR gets unverified results as R, also those without an order."""
        if self.emr is None:
            return "# no destination was named at start: nothing is sent (./run up --emr mllp://HOST:PORT)\n"
        if not self.emr.startswith("mllp://"):
            raise StackError(f"--emr takes mllp://HOST:PORT, not {self.emr}")
        return (
            '[[destination]]\nname = "emr"\nkind = "hl7"\n'
            f"url = {json.dumps(self.emr)}\n"
            'receiving_application = "EMR"\nsend_unverified = "R"\nunsolicited = true\nlanguage = "vi"\n'
        )


def first_passwords(data_dir: Path) -> Path:
    """Return the file with the passwords that were made at first start."""
    return data_dir / "secrets" / "first-users.txt"


def _make_first_users(users_file: Path, passwords_file: Path, *, is_demo: bool) -> None:
    lines = []
    for user in FIRST_USERS:
        password = secrets.token_urlsafe(12)
        users.add_user(
            users_file,
            user.username,
            password=password,
            family_name=user.family_name,
            given_name=user.given_name,
            roles=user.roles,
            entitlements=user.entitlements,
            demo=is_demo,
        )
        lines.append(f"{user.username} {password}\n")
    write_private(passwords_file, "".join(lines))


def _ports(service: str, offset: int) -> Mapping[str, int]:
    ports: Mapping[str, Mapping[str, int]] = {
        "hl7_intake": {"HL7 MLLP": MLLP_PORT + offset},
        "dicom_intake": {"DICOM": DICOM_PORT + offset},
        "review": {"HTTP": HTTP_PORT + offset},
    }
    return ports.get(service, {})
