import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from overread.contracts.errors import OverreadError
from overread.runtime.synced_files import make_folder, sync

CHECKOUT = Path(__file__).resolve().parents[3]
"""The folder that holds `run`: everything that set-up makes lies in its `.cache` and `.venv`."""

CACHE = CHECKOUT / ".cache"

MOST_PORT_OFFSET = 13_000
"""Above this offset Kafka's ports would enter the range the kernel hands out to clients."""

_LONGEST_SOCKET = 107
_SOCKET_NAME_ROOM = 40

_PRIVATE = 0o700
_ROOT_MODE = 0o711
"""As root: PostgreSQL then runs as somebody else, and walks through to its own folder."""


class StackError(OverreadError):
    """The embedded servers can not do what was asked."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the embedded servers listen, on loopback only, shifted as a whole by `offset`."""

    offset: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= MOST_PORT_OFFSET:
            raise StackError(f"OVERREAD_PORT_OFFSET is {self.offset}; it must lie between 0 and {MOST_PORT_OFFSET}")

    @property
    def kafka(self) -> int:
        """Return the broker's port."""
        return 19_092 + self.offset

    @property
    def kafka_controller(self) -> int:
        """Return the port of the KRaft controller."""
        return 19_093 + self.offset

    @property
    def triton_http(self) -> int:
        """Return Triton's HTTP port."""
        return 18_000 + self.offset

    @property
    def triton_grpc(self) -> int:
        """Return Triton's gRPC port."""
        return 18_001 + self.offset

    @property
    def triton_metrics(self) -> int:
        """Return the port of Triton's metrics."""
        return 18_002 + self.offset

    def named(self) -> dict[str, int]:
        """Return every port beside the name an operator knows it by."""
        return {
            "Kafka": self.kafka,
            "Kafka controller": self.kafka_controller,
            "Triton HTTP": self.triton_http,
            "Triton gRPC": self.triton_grpc,
            "Triton metrics": self.triton_metrics,
        }


class DataFolder:
    """One directory that holds all state of one embedded stack; two stacks never share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.mark = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    def make(self) -> None:
        """Make the folders that every part of the stack needs; patients' data is its owner's alone to read.

        They are there for good, and so is every name in `secrets` and `config`: who made it may have died before its
        sync, and from now on database and broker are used, and made, with what stands there.
        """
        make_folder(self.root, mode=_ROOT_MODE if os.geteuid() == 0 else _PRIVATE)
        for folder in (self.logs, self.kafka, self.objects, self.config, self.secrets):
            folder.mkdir(mode=_PRIVATE, exist_ok=True)
            folder.chmod(_PRIVATE)  # also one that an earlier version left open
        self.postgres.mkdir(mode=_PRIVATE, exist_ok=True)
        self._make_run()
        for folder in (self.root, self.config, self.secrets):
            sync(folder)

    @property
    def logs(self) -> Path:
        """Return the folder with a log file of each child."""
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        """Return the folder with the generated passwords."""
        return self.root / "secrets"

    @property
    def config(self) -> Path:
        """Return the folder with users, destinations, and delivery's copy of the site CA's root."""
        return self.root / "config"

    @property
    def kafka(self) -> Path:
        """Return the broker's folder."""
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        """Return the database's folder."""
        return self.root / "postgres"

    @property
    def objects(self) -> Path:
        """Return the root of the object store."""
        return self.root / "objects"

    @property
    def lock(self) -> Path:
        """Return the file that a running stack holds locked."""
        return self.root / "stack.lock"

    @property
    def run(self) -> Path:
        """Return the folder of Unix sockets: inside the data folder, or in /tmp when that path is too long.

        sun_path of unix(7) takes 107 bytes.
        """
        inside = self.root / "run"
        if len(os.fsencode(inside)) + _SOCKET_NAME_ROOM <= _LONGEST_SOCKET:
            return inside
        return Path("/tmp") / f"overread-{os.geteuid()}-{self.mark}"  # noqa: S108  # owner and mode are checked when it is made

    @property
    def postgres_sockets(self) -> Path:
        """Return the folder of PostgreSQL's socket."""
        return self.run / "pg"

    def service_socket(self, service: str) -> Path:
        """Return the Unix socket on which `service` answers health questions."""
        return self.run / f"{service}.sock"

    def log_of(self, name: str) -> Path:
        """Return the log file of the child called `name`."""
        return self.logs / f"{name}.log"

    def _make_run(self) -> None:
        self.run.mkdir(mode=0o700, exist_ok=True)
        found = self.run.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StackError(f"{self.run} belongs to somebody else; remove it, or choose another --data folder")
        self.postgres_sockets.mkdir(mode=0o700, exist_ok=True)
