"""Sets of jars: each resolved once by jgo into a committed lock, fetched and verified by it ever after."""

import hashlib
import os
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.embedded.boot import system_certificates
from overread.embedded.places import CACHE, StackError

_DOWNLOADS_AT_ONCE = 8
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class LockedJar:
    """One jar of a lock: its coordinates and the digest it must have."""

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


@dataclass(frozen=True)
class JarSet:
    """The jars of one program, as `lock` has them, in a folder of the cache called `name`."""

    name: str
    lock: Path

    def locked(self) -> list[LockedJar]:
        """Return the jars of the committed lock, in class path order."""
        rows = tomllib.loads(self.lock.read_text())["dependencies"]
        return [
            LockedJar(group=row["groupId"], artifact=row["artifactId"], version=row["version"], sha256=row["sha256"])
            for row in rows
        ]

    def folder(self) -> Path:
        """Return where the jars of this lock lie once fetched."""
        return CACHE / self.name / hashlib.sha256(self.lock.read_bytes()).hexdigest()[:16]

    def class_path(self) -> str:
        """Return the class path; its order is fixed, since Java's AOT cache depends on it."""
        return os.pathsep.join(str(self.folder() / jar.file_name) for jar in self.locked())

    def are_here(self) -> bool:
        """Tell whether all jars of the lock were fetched and verified."""
        return (self.folder() / "complete").exists()

    def fetch(self) -> None:
        """Fetch what is missing, verify every jar against the lock, and only then call the folder complete."""
        self.folder().mkdir(parents=True, exist_ok=True)
        os.environ.update(system_certificates())
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(self._fetch_one, self.locked()))
        (self.folder() / "complete").touch()

    def write_lock(self, dependencies: Sequence[Any]) -> None:
        """Write the lock from what jgo resolved."""
        from jgo.env._lockfile import LockFile  # noqa: PLC0415  # jgo's lock format; needed here alone

        LockFile.from_resolved_dependencies(list(dependencies), environment_name=self.name).save(self.lock)

    def _fetch_one(self, jar: LockedJar) -> None:
        target = self.folder() / jar.file_name
        if target.exists() and _sha256(target) == jar.sha256:
            return
        source = self._download(jar)
        target.unlink(missing_ok=True)
        os.link(source, target)

    def _download(self, jar: LockedJar) -> Path:
        artifact = maven().create_dependency(jar.coordinate).artifact
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
        raise StackError(f"{jar.coordinate} could not be fetched as {self.lock.name} has it ({reason})")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def maven() -> Any:
    """Return jgo's way to the repository, with a cache inside the checkout."""
    from jgo.maven import MavenContext  # noqa: PLC0415  # a heavy import that only a first set-up needs

    return MavenContext(repo_cache=CACHE / "maven", local_repos=[], timeout=60)
