"""Where everything of one embedded stack is reached, and what each service is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.contracts.errors import Unavailable
from overread.contracts.identifiers import checked_site_id
from overread.embedded.credentials import Credentials
from overread.embedded.places import DataFolder, Ports, StackError
from overread.embedded.postgres import ROLES, STATE_OWNERS, Postgres
from overread.runtime.object_store import make_root, must_be_root
from overread.runtime.synced_files import write_private

DEFAULT_SITE = "demo-hospital"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses and credentials of one stack; made from its data folder, whether it runs or not."""

    data: DataFolder
    ports: Ports
    site_id: str = DEFAULT_SITE

    @classmethod
    def of(cls, data_dir: Path) -> "Endpoints":
        """Return the endpoints of the stack that last ran on `data_dir`."""
        data = DataFolder(data_dir)
        known = _recorded(data)
        if known is None:
            raise StackError(f"no stack has run on {data.root} yet: start one by ./run up --data {data.root}")
        return cls(data=data, ports=Ports(offset=known["port_offset"]), site_id=known["site_id"])

    @classmethod
    def at(cls, data: DataFolder, ports: Ports, site_id: str | None) -> "Endpoints":
        """Return the endpoints of the stack that shall run on `data`: without a `site_id`, for the site it belongs to."""
        known = _recorded(data)
        site = site_id or (known["site_id"] if known else DEFAULT_SITE)
        try:
            return cls(data=data, ports=ports, site_id=checked_site_id(site))
        except ValueError as fault:
            raise StackError(f"OVERREAD_SITE_ID is {site!r}: {fault}") from None

    def record(self) -> None:
        """Keep what `of` needs; a folder belongs to one site for ever, since every key in it begins with the site."""
        known = _recorded(self.data)
        if known and known["site_id"] != self.site_id:
            raise StackError(
                f"{self.data.root} belongs to the site {known['site_id']}: start {self.site_id} on another --data folder"
            )
        self._have_objects(known)
        told = {"port_offset": self.ports.offset, "site_id": self.site_id, "has_objects": True}
        write_private(self.data.root / "stack.json", json.dumps(told))

    def _have_objects(self, known: Mapping[str, Any] | None) -> None:
        """Make the object store at the folder's first start; later on a root without its mark is not mounted."""
        if not (known and known.get("has_objects")):
            make_root(self.objects)
            return
        try:
            must_be_root(self.objects)
        except Unavailable as away:
            raise StackError(f"{self.objects}: {away}; mount it, and start again") from None

    @property
    def credentials(self) -> Credentials:
        """Return the generated passwords."""
        return Credentials(self.data.secrets)

    @property
    def kafka_bootstrap(self) -> str:
        """Return the broker's address."""
        return f"127.0.0.1:{self.ports.kafka}"

    def kafka_password(self, user: str) -> str:
        """Return the broker password of a service, of `ops`, or of `admin`."""
        return self.credentials.password(f"kafka-{user}")

    def dsn(self, role: str) -> str:
        """Return the database address of `role`: a service that owns state, or a reader of one's tables."""
        if role not in ROLES:
            raise StackError(f"{role} has no role in the database")
        return Postgres(data=self.data, credentials=self.credentials).dsn(role)

    @property
    def triton_http(self) -> str:
        """Return Triton's HTTP address."""
        return f"127.0.0.1:{self.ports.triton_http}"

    @property
    def triton_grpc(self) -> str:
        """Return Triton's gRPC address."""
        return f"127.0.0.1:{self.ports.triton_grpc}"

    @property
    def triton_metrics(self) -> str:
        """Return the address of Triton's metrics."""
        return f"127.0.0.1:{self.ports.triton_metrics}"

    @property
    def objects(self) -> Path:
        """Return the root of the object store."""
        return self.data.objects

    def health_socket(self, service: str) -> Path:
        """Return the Unix socket on which `service` answers `/readyz`."""
        return self.data.service_socket(service)

    def environment_of(self, service: str) -> Mapping[str, str]:
        """Return the settings that every service gets, with this one's own user, role and socket."""
        told = {
            "OVERREAD_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "OVERREAD_KAFKA_SECURITY": "SASL_PLAINTEXT",
            "OVERREAD_KAFKA_USERNAME": service,
            "OVERREAD_KAFKA_PASSWORD": self.kafka_password(service),
            "OVERREAD_OBJECT_ROOT": str(self.objects),
            "OVERREAD_TRITON_GRPC": self.triton_grpc,
            "OVERREAD_HEALTH_SOCKET": str(self.health_socket(service)),
            "OVERREAD_SITE_ID": self.site_id,
            "OVERREAD_PORT_OFFSET": str(self.ports.offset),
        }
        if service in STATE_OWNERS:
            told["OVERREAD_DATABASE_DSN"] = self.dsn(service)
        return told


def _recorded(data: DataFolder) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads((data.root / "stack.json").read_text())
    except FileNotFoundError:
        return None
    return known
