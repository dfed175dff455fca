"""Apache Kafka's jars: resolved once by jgo into the committed lock, fetched and verified by it ever after.

`python -m overread.embedded.kafka_jars` resolves anew and rewrites the lock.
"""

import hashlib
import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.embedded.boot import system_certificates
from overread.embedded.places import CACHE, StackError

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""What carries the broker's log to log4j; resolved apart, since its own bill of materials would pull an older Kafka client in."""

LOCK = Path(__file__).with_name("kafka.lock.toml")
_DOWNLOADS_AT_ONCE = 8
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class LockedJar:
    """One jar of the lock: its coordinates and the digest it must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the jar's name in the class path folder."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Return the Maven coordinate."""
        return f"{self.group}:{self.artifact}:{self.version}"


def locked() -> list[LockedJar]:
    """Return the jars of the committed lock, in class path order."""
    rows = tomllib.loads(LOCK.read_text())["dependencies"]
    return [
        LockedJar(group=row["groupId"], artifact=row["artifactId"], version=row["version"], sha256=row["sha256"])
        for row in rows
    ]


def folder() -> Path:
    """Return where the jars of this lock lie once fetched."""
    return CACHE / "kafka" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]


def class_path() -> str:
    """Return the class path; its order is fixed, since Java's AOT cache depends on it."""
    return os.pathsep.join(str(folder() / jar.file_name) for jar in locked())


def are_here() -> bool:
    """Tell whether all jars of the lock were fetched and verified."""
    return (folder() / "complete").exists()


def fetch() -> None:
    """Fetch what is missing, verify every jar against the lock, and only then call the folder complete."""
    folder().mkdir(parents=True, exist_ok=True)
    os.environ.update(system_certificates())
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(_fetch_one, locked()))
    (folder() / "complete").touch()


def _fetch_one(jar: LockedJar) -> None:
    target = folder() / jar.file_name
    if target.exists() and _sha256(target) == jar.sha256:
        return
    source = _download(jar)
    target.unlink(missing_ok=True)
    os.link(source, target)


def _download(jar: LockedJar) -> Path:
    artifact = _maven().create_dependency(jar.coordinate).artifact
    reason = "wrong digest"
    for _ in range(_TRIES):
        try:
            path = Path(artifact.resolve())
        except (OSError, RuntimeError) as failure:
            reason = f"{type(failure).__name__}: {failure}"
            continue
        if _sha256(path) == jar.sha256:
            return path
        path.unlink()
    raise StackError(f"{jar.coordinate} could not be fetched as {LOCK.name} has it ({reason})")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _maven() -> Any:
    from jgo.maven import MavenContext  # noqa: PLC0415  # a heavy import that only a first set-up needs

    return MavenContext(repo_cache=CACHE / "maven", local_repos=[], timeout=60)


def relock() -> None:
    """Resolve Kafka anew and rewrite the lock."""
    from jgo.env._lockfile import LockFile  # noqa: PLC0415  # jgo's lock format; needed here alone

    maven = _maven()
    wanted, transitive = maven.resolver.resolve([maven.create_dependency(KAFKA)])
    needed = [dependency for dependency in transitive if dependency.scope in {"compile", "runtime"}]
    rows = [*wanted, *needed, maven.create_dependency(LOGGING)]
    LockFile.from_resolved_dependencies(rows, environment_name="kafka").save(LOCK)


if __name__ == "__main__":
    relock()
