"""An EMR that speaks FHIR R4, for demo and tests: HAPI's server frame over a store in memory, in a process of its own.

HAPI, which other people wrote, parses strictly, refuses what R4 does not know, and serves HTTP. What is kept, found and
done in a transaction is ours (`fhir_emr_src`). Nothing of it is part of Overread's stack.
`python -m overread.embedded.fhir_emr FOLDER [PORT]` runs one in the foreground.
"""

import asyncio
import hashlib
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from overread.embedded import java
from overread.embedded.fhir_emr_jars import JARS
from overread.embedded.places import StackError
from overread.embedded.processes import Command, start, stop
from overread.runtime.synced_files import write_private

SOURCES = Path(__file__).with_name("fhir_emr_src")

_FLAGS = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
_READY = "ready "
_START_SECONDS = 60
_STOP_SECONDS = 10
_COMPILE_SECONDS = 120


def is_here() -> bool:
    """Tell whether the jars are fetched and our few classes compiled from the sources as they are now."""
    return JARS.are_here() and (_classes() / "FhirEmr.class").exists()


def prepare() -> None:
    """Fetch the jars and compile our few classes with Eclipse's compiler; a repeat changes nothing."""
    JARS.fetch()
    half = _classes().with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    compiler = JARS.folder() / next(jar.file_name for jar in JARS.locked() if jar.artifact == "ecj")
    words = ["-jar", str(compiler), "-17", "-proc:none", "-nowarn", "-cp", JARS.class_path(), "-d", str(half)]
    environment = java.environment(JARS.folder())
    done = subprocess.run(  # noqa: S603  # our own words
        [java.executable(), *_FLAGS[1:3], *words, str(SOURCES)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_SECONDS,
    )
    if done.returncode:
        raise StackError(f"the FHIR receiver did not compile: {done.stderr.strip()[-2000:]}")
    shutil.rmtree(_classes(), ignore_errors=True)
    half.rename(_classes())


def _classes() -> Path:
    sources = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.java")))
    return JARS.folder() / f"classes-{hashlib.sha256(sources).hexdigest()[:16]}"


class FhirEmr:
    """One receiver on loopback. `url` is its FHIR base, `token` the bearer token that every request must bring."""

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.port = port
        self.token = secrets.token_urlsafe(32)
        self._folder = data_dir
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Return the base of its FHIR API."""
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def token_file(self) -> Path:
        """Return the private file that holds the token."""
        return self._folder / "fhir-emr.token"

    async def start(self) -> None:
        """Start it and wait until it listens; port 0 becomes the one that it was given."""
        if not is_here():
            raise StackError("the FHIR receiver is not set up: python -m overread.embedded.setup does it")
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "fhir-emr.log"
        write_private(self.token_file, self.token)
        log.unlink(missing_ok=True)
        self._process = await start(self._command(), log)
        try:
            self.port = await asyncio.wait_for(self._port_in(log), _START_SECONDS)
        except TimeoutError:
            await self.stop()
            raise StackError(f"the FHIR receiver did not start within {_START_SECONDS} s; see {log}") from None

    async def stop(self) -> None:
        """End it, and all that it holds with it."""
        if self._process is not None:
            await stop(self._process, signal.SIGTERM, timeout_seconds=_STOP_SECONDS)
            self._process = None

    async def received(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the resources of type `kind` that a FHIR search by `parameters` finds."""
        async with self.client() as client:
            answer = await client.get(f"{self.url}/{kind}", params=parameters)
        answer.raise_for_status()
        return [entry["resource"] for entry in answer.json().get("entry", [])]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client that brings the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
            yield client

    async def ended(self) -> None:
        """Wait until it ends by itself."""
        if self._process is not None:
            await self._process.wait()

    def _command(self) -> Command:
        class_path = f"{_classes()}:{JARS.class_path()}"
        told = ("FhirEmr", str(self.port), str(self.token_file.absolute()))
        words = [java.executable(), *_FLAGS, "-cp", class_path, *told]
        return Command(argv=words, environment=java.environment(self._folder), folder=self._folder.absolute())

    async def _port_in(self, log: Path) -> int:
        while self._process is not None and self._process.returncode is None:
            port = await asyncio.to_thread(_told_port, log)
            if port:
                return port
            await asyncio.sleep(0.05)
        raise StackError(f"the FHIR receiver ended at its start; see {log}")


def _told_port(log: Path) -> int:
    """Return the port that it says it listens on, or 0 while it says nothing."""
    lines = log.read_text().splitlines() if log.exists() else []
    return next((int(line.removeprefix(_READY)) for line in lines if line.startswith(_READY)), 0)


async def _in_the_foreground(folder: Path, port: int) -> None:
    emr = FhirEmr(folder, port)
    await emr.start()
    sys.stdout.write(f"{emr.url}\nits bearer token is in {emr.token_file}\n")
    sys.stdout.flush()
    try:
        await emr.ended()
    finally:
        await emr.stop()


def main(arguments: list[str]) -> int:
    """Run one receiver until Ctrl-C; a failure is one line."""
    folder, port = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    try:
        if not is_here():
            prepare()
        asyncio.run(_in_the_foreground(folder, port))
    except KeyboardInterrupt:
        return 0
    except StackError as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
