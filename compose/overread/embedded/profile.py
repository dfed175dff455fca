"""Which services make up the embedded stack, and what each is told beyond its address and its credentials."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overread.delivery import destinations
from overread.delivery.destination_faults import option_of
from overread.embedded import front
from overread.embedded.endpoints import Endpoints
from overread.embedded.keeper import Progress
from overread.embedded.places import CHECKOUT, DataFolder, Ports, StackError
from overread.embedded.supervisor import ServiceSpec, Stack, on_screen
from overread.review import users
from overread.runtime.synced_files import make_folder, sync, write_private

MODELS_FILE = CHECKOUT / "inference" / "models.toml"
MLLP_PORT, DICOM_PORT, HTTP_PORT = 2575, 11112, 8080
_DOORS: Mapping[str, int] = {"MLLP": MLLP_PORT, "DICOM": DICOM_PORT, "HTTP": HTTP_PORT}

SERVICES: tuple[str, ...] = (
    "hl7_intake",
    "order_intake",
    "dicom_intake",
    "archive",
    "assembly",
    "routing",
    "inference_worker",
    "review",
    "delivery",
    "governance",
    "dicomweb",
    "ops",
)


@dataclass(frozen=True, kw_only=True)
class FirstUser:
    """A user that a new stack begins with; the password is made at first start and kept in the data folder."""

    username: str
    family_name: str
    given_name: str
    roles: tuple[str, ...]
    entitlements: tuple[str, ...]
    is_client: bool = False


FIRST_USERS: tuple[FirstUser, ...] = (
    FirstUser(
        username="radiologist",
        family_name="BÁC SĨ",
        given_name="MẪU",
        roles=("radiologist",),
        entitlements=("sign",),
    ),
    FirstUser(username="ops", family_name="VẬN HÀNH", given_name="MẪU", roles=("ops",), entitlements=()),
    FirstUser(username="reconciler", family_name="ĐỐI CHIẾU", given_name="MẪU", roles=("reconciler",), entitlements=()),
    FirstUser(username="integrator", family_name="TÍCH HỢP", given_name="MẪU", roles=("integrator",), entitlements=()),
    FirstUser(
        username="his", family_name="HIS", given_name="MẪU", roles=("order_placer",), entitlements=(), is_client=True
    ),
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one run of the stack is asked to be.

    `emr`, `pacs` and `fhir` are where results go: `mllp://host:port`, `dicom://ae@host:port`, and a FHIR base URL with
    the file of its bearer token. `settings` are further `OVERREAD_*` for every service, under what the stack itself
    decides. Without a `site_id` the data folder's site goes on.
    `is_demo` lets the first users sign in without a password, and marks every token and message.
    """

    data_dir: Path
    port_offset: int = 0
    emr: str | None = None
    pacs: str | None = None
    fhir: str | None = None
    fhir_token_file: Path | None = None
    is_demo: bool = False
    site_id: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def stack(self, progress: Progress = on_screen) -> Stack:
        """Return the stack of all services; entered, it writes their configuration and starts them."""
        data = DataFolder(self.data_dir)
        endpoints = Endpoints.at(data, Ports(offset=self.port_offset), self.site_id)
        listed = self._destinations()
        data.make()
        return Stack(
            self.data_dir,
            port_offset=self.port_offset,
            services=self.services(endpoints),
            site_id=endpoints.site_id,
            configure=lambda: self._write_configuration(endpoints, listed),
            progress=progress,
        )

    def services(self, endpoints: Endpoints) -> Sequence[ServiceSpec]:
        """Return every service with its own settings."""
        return [
            ServiceSpec(
                name=name,
                target=f"overread.{name}.app:main",
                environment={**self.settings, **self._told(name, endpoints)},
                ports=self._ports(name),
            )
            for name in SERVICES
        ]

    def port(self, what: str) -> int:
        """Return where one of the doors to the outside listens: `MLLP`, `DICOM` or `HTTP`."""
        told = self.settings.get(f"OVERREAD_{what}_PORT", "")
        if told and not told.isdecimal():
            raise StackError(f"OVERREAD_{what}_PORT is {told!r}; it must be a port number")
        return int(told or _DOORS[what]) + self.port_offset

    @property
    def own_destinations(self) -> str | None:
        """Return the caller's own destinations file; what was named at start comes before it."""
        return None if self.receivers else self.settings.get("OVERREAD_DESTINATIONS")

    @property
    def receivers(self) -> Mapping[str, str]:
        """Return the addresses that results go to, by what the receiver is."""
        named = {"emr": self.emr, "pacs": self.pacs, "fhir": self.fhir}
        return {name: url for name, url in named.items() if url}

    def _ports(self, service: str) -> Mapping[str, int]:
        doors = {"hl7_intake": "MLLP", "dicom_intake": "DICOM", "review": "HTTP"}
        return {doors[service]: self.port(doors[service])} if service in doors else {}

    def _told(self, service: str, endpoints: Endpoints) -> Mapping[str, str]:
        configuration = endpoints.data.config
        root = str(configuration / "delivery" / "site-ca-root.pem")
        told: Mapping[str, Mapping[str, str]] = {
            "assembly": {
                "OVERREAD_MODELS_FILE": str(MODELS_FILE),
                "OVERREAD_MESSAGE_INDEX_SECRET": endpoints.credentials.password("message-index"),
            },
            "routing": {"OVERREAD_MODELS_FILE": str(MODELS_FILE)},
            "inference_worker": {"OVERREAD_MODELS_FILE": str(MODELS_FILE)},
            "review": {
                "OVERREAD_MODELS_FILE": str(MODELS_FILE),
                "OVERREAD_REVIEW_KEY_PASSWORD": endpoints.credentials.password("review-keys"),
                "OVERREAD_SITE_CA_ROOT": root,
                "OVERREAD_USERS_FILE": str(configuration / "users.json"),
                "OVERREAD_SECRETS_DIR": str(endpoints.data.secrets),
                "OVERREAD_DEMO_PROFILE": "1" if self.is_demo else "0",
            },
            "delivery": {
                "OVERREAD_DESTINATIONS": self.own_destinations or str(configuration / "delivery" / "destinations.toml"),
                "OVERREAD_SITE_CA_ROOT": root,
            },
        }
        return {**told.get(service, {}), **front.told(service, endpoints, SERVICES)}

    def _write_configuration(self, endpoints: Endpoints, listed: str) -> None:
        configuration = endpoints.data.config
        make_folder(configuration / "delivery", mode=0o700)
        write_private(configuration / "delivery" / "destinations.toml", listed)
        users_file = configuration / "users.json"
        if not users_file.exists():
            _make_first_users(users_file, endpoints.data.secrets / "first-users.txt", is_demo=self.is_demo)

    def _destinations(self) -> str:
        """Return the destinations file: each receiver gets unverified results too, also those without an order."""
        if not self.receivers:
            return "# no destination was named at start: nothing is sent (./run up --emr mllp://HOST:PORT)\n"
        text = "\n".join(_table(self._receiver(name, url)) for name, url in self.receivers.items())
        try:
            destinations.parse(text, site_id="site")
        except destinations.DestinationsRefused as refused:
            raise StackError(_named_options(str(refused), list(self.receivers))) from refused
        return text

    def _receiver(self, name: str, url: str) -> Mapping[str, str | bool]:
        anyhow: Mapping[str, str | bool] = {"name": name, "url": url, "unsolicited": True, "language": "vi"}
        match name:
            case "emr":
                return {**anyhow, "kind": "hl7", "receiving_application": "EMR", "send_unverified": "R"}
            case "pacs":
                return {**anyhow, "kind": "dicom", "send_unverified": "unverified"}
            case _:
                token = {"bearer_token_file": str(self.fhir_token_file.absolute())} if self.fhir_token_file else {}
                return {**anyhow, "kind": "fhir", "send_unverified": "partial", **token}


def _table(values: Mapping[str, str | bool]) -> str:
    """Return one destination as TOML; JSON writes its strings and booleans the same way."""
    return "[[destination]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _named_options(fault: str, names: Sequence[str]) -> str:
    """Return a fault of the list under the option that it came from: `destination pacs, …` is that of --pacs."""
    return f"--{option_of(fault, names)}: {fault.partition(': ')[2]}"


def first_passwords(data_dir: Path) -> Path:
    """Return the file with the passwords that were made at first start."""
    return data_dir / "secrets" / "first-users.txt"


def _make_first_users(users_file: Path, passwords_file: Path, *, is_demo: bool) -> None:
    """Make the users beside their final place: an interrupted start simply makes them again."""
    half = users_file.with_name(f".{users_file.name}.half")
    half.unlink(missing_ok=True)
    lines = []
    for user in FIRST_USERS:
        password = secrets.token_urlsafe(12)
        users.add_user(
            half,
            user.username,
            password=password,
            family_name=user.family_name,
            given_name=user.given_name,
            roles=user.roles,
            entitlements=user.entitlements,
            demo=is_demo,
            is_client=user.is_client,
        )
        lines.append(f"{user.username} {password}\n")
    write_private(passwords_file, "".join(lines))
    half.replace(users_file)
    sync(users_file.parent)  # else a power cut makes them anew, with other passwords than somebody has read
