"""What `./run` does before Overread's own environment is there: checks the machine, makes `.venv`, hands over.

Run as a file by any CPython 3.11 to 3.13; uses the standard library alone. Nothing here writes to standard output.
"""

import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import ssl
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
CACHE = CHECKOUT / ".cache"
ENVIRONMENT = CHECKOUT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = CACHE / "environment.stamp"
BOOT = CACHE / "boot"
UV_PIN = Path(__file__).with_name("uv.txt")

TRITON_VERSIONS = ("3.12", "3.11")
LEAST_GLIBC = (2, 35)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where Debian and Red Hat keep the bundle of trusted authorities."""

HELP = """\
Overread stands between a hospital's systems and imaging AI: orders and images in, a clinician's signature, results out.

  ./run demo              the main job once, on real servers, told step by step   (--json, --keep, --study DIR)
  ./run up                servers and services until Ctrl-C; prints `ready`        (--data DIR, --emr mllp://HOST:PORT)
  ./run test [ARGS]       the tests; ARGS go to pytest, for example: ./run test tests/unit -k mllp
  ./run check             format, lint, types, import rules, licences
  ./run bench NAME        a benchmark beside a rival: mllp, ... or all            (--json)
  ./run overread ...      the command line; ./run overread --help lists its commands

The first call makes an environment in .venv and .cache (downloads about 400 MB, one to three minutes); nothing is
installed outside this folder. Later calls skip that in milliseconds. Delete both folders to start afresh.

  OVERREAD_PYTHON         the CPython 3.11 to 3.13 to use
  OVERREAD_PORT_OFFSET    moves all ports, for a second stack on one machine (0 to 13000)
"""


@dataclass(frozen=True)
class Lack:
    """One thing that this machine does not have, and the Debian package that brings it, if one does."""

    what: str
    package: str = ""


def lacks() -> Iterator[Lack]:
    """Yield what is missing on this machine before anything is downloaded."""
    yield from _wrong_machine()
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        yield Lack(f"Python {VERSION} cannot make environments (ensurepip)", f"python{VERSION}-venv")
    yield from _without_triton()
    for library, package in (("libz.so.1", "zlib1g"), ("libstdc++.so.6", "libstdc++6")):
        if not _loads(library):
            yield Lack(f"the library {library}", package)
    if shutil.which("setpriv") is None:
        yield Lack("the program setpriv", "util-linux")


def _wrong_machine() -> Iterator[Lack]:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        yield Lack(f"the servers are built for Linux on x86-64, this is {platform.system()} on {platform.machine()}")
        return
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "no glibc").partition(" ")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name != "glibc" or numbers < LEAST_GLIBC:
        yield Lack(f"glibc 2.35 or newer is needed (Debian 12, Ubuntu 22.04, RHEL 10), this is {name} {version}")
    if platform.python_implementation() != "CPython":
        yield Lack(f"CPython is needed, this is {platform.python_implementation()}")


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine: its version, where it was installed, where its shared library may lie."""

    version: str
    base: str
    libraries: tuple[str, ...]

    @property
    def executable(self) -> str:
        """Return the program."""
        return str(Path(self.base) / "bin" / f"python{self.version}")

    @property
    def has_shared_library(self) -> bool:
        """Tell whether libpython is there as a library: Triton's python backend loads the interpreter so."""
        name = f"libpython{self.version}.so.1.0"
        return any((Path(folder) / name).exists() for folder in self.libraries) or _loads(name)


_ASK = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sys.base_prefix, sysconfig.get_config_var('LIBDIR'), sep='|')"


@functools.cache
def python_for_triton() -> Interpreter | None:
    """Return the Python that Triton's models run in: this one, or beside 3.13 an older one of this machine.

    Triton's stub needs numpy below 2, and that has no wheel for CPython 3.13.
    """
    if VERSION in TRITON_VERSIONS:
        return _interpreter(f"{VERSION}|{sys.base_prefix}|{sysconfig.get_config_var('LIBDIR')}")
    for version in TRITON_VERSIONS:
        program = shutil.which(f"python{version}")
        if program is None:
            continue
        asked = subprocess.run([program, "-c", _ASK], capture_output=True, text=True, check=False)  # noqa: S603  # a Python of the PATH
        if asked.returncode == 0:
            return _interpreter(asked.stdout.strip())
    return None


def _interpreter(told: str) -> Interpreter:
    version, base, folder = told.split("|")
    return Interpreter(version=version, base=base, libraries=tuple(dict.fromkeys((folder, str(Path(base) / "lib")))))


def _without_triton() -> Iterator[Lack]:
    python = python_for_triton()
    if python is None:
        yield Lack(
            "Triton's models need Python 3.11 or 3.12 beside this one: put a python3.12 or python3.11 on the PATH"
        )
    elif not python.has_shared_library:
        yield Lack(f"Python {python.version} has no shared library", f"libpython{python.version}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def mend_machine() -> None:
    """Install what is missing when we may (root on Debian); else name the one command that does, and leave with 2."""
    missing = list(lacks())
    packages = [lack.package for lack in missing if lack.package]
    if missing and len(packages) == len(missing) and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"set-up: installing {' '.join(packages)} by apt-get")
        apt(packages)
        missing = list(lacks())
    if missing:
        say(*(f"missing: {lack.what}" for lack in missing))
        if all(lack.package for lack in missing):
            say(f"on Debian or Ubuntu this mends it:  sudo apt-get install -y {' '.join(packages)}")
        sys.exit(2)


def apt(packages: list[str]) -> None:
    """Install Debian packages, nobody asked."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-q", *words], env=quiet, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)  # noqa: S603, S607  # fixed words; the PATH's apt-get is meant


def make_environment() -> None:
    """Bring `.venv` to what `uv.lock` says; when it already is, this costs milliseconds."""
    if _is_current():
        return
    CACHE.mkdir(exist_ok=True)
    with _one_at_a_time():
        if _is_current():
            return
        began = time.monotonic()
        say("set-up: making Overread's own Python environment; this happens once")
        _make_uv()
        say("set-up: Python packages by uv.lock (about 250 MB, if not cached)")
        _run([str(BOOT / "bin" / "uv"), "sync", "--frozen", "--all-extras", "--no-progress"], is_shown=_is_news)
        STAMP.write_text(_state())
        say(f"set-up: Python environment ready in {time.monotonic() - began:.0f} s")


def _is_current() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == _state()


def _state() -> str:
    """Return what the environment was made from: lock, settings, this folder, interpreter."""
    told = [file.read_bytes() for file in (CHECKOUT / "uv.lock", CHECKOUT / "pyproject.toml", UV_PIN)]
    digest = hashlib.sha256(b"".join(told)).hexdigest()
    return "\n".join((digest, str(CHECKOUT), _base_python(), sys.version))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (CACHE / "boot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_uv() -> None:
    uv = BOOT / "bin" / "uv"
    pinned = UV_PIN.read_text()
    stamp = BOOT / "uv.stamp"
    if uv.exists() and stamp.exists() and stamp.read_text() == pinned:
        return
    say("set-up: the installer uv (17 MB)")
    _run([_base_python(), "-m", "venv", "--clear", str(BOOT)])
    python = str(BOOT / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(UV_PIN)])
    stamp.write_text(pinned)


def _base_python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{VERSION}")


def _run(words: list[str], is_shown: Callable[[str], bool] = lambda _: True) -> None:
    """Run a step of set-up, show what is worth showing, and leave with its status when it fails."""
    with subprocess.Popen(  # noqa: S603  # words of this module
        words,
        cwd=CHECKOUT,
        env=own_caches(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if is_shown(line):
                say(f"  {line.rstrip()}")
    if process.returncode:
        say(f"set-up failed: {' '.join(words)}", "It may be repeated; what was downloaded is kept.")
        sys.exit(1)


def _is_news(line: str) -> bool:
    return not line.startswith((" +", " -", " ~", "   Downloaded"))


def system_certificates() -> dict[str, str]:
    """Return the settings that make pip and requests trust what the machine trusts; uv has its own switch."""
    named = os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *CERTIFICATES
    found = next((path for path in named if path and Path(path).exists()), None)
    wanted = {name: found for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if found and name not in os.environ}
    return {name: path for name, path in wanted.items() if path}


def own_caches() -> dict[str, str]:
    """Return an environment in which every cache lies in the checkout and certificates are the system's."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return {
        **inherited,
        **system_certificates(),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(CACHE / "uv")),
        "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
        "UV_PYTHON": _base_python(),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_SYSTEM_CERTS": "1",
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(CACHE / "pip")),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def run_checks() -> int:
    """Run every check, also after one has failed, and return 1 when any did."""
    binaries = ENVIRONMENT / "bin"
    checks = {
        "format": [str(binaries / "ruff"), "format", "--check", "."],
        "lint": [str(binaries / "ruff"), "check", "."],
        "types": [str(binaries / "mypy")],
        "imports": [str(binaries / "lint-imports")],
        "licences": [str(PYTHON), "-m", "tests.licences"],
    }
    failed = [name for name, words in checks.items() if not _passes(name, words)]
    say(f"check: {', '.join(failed)} failed" if failed else "check: all passed")
    return 1 if failed else 0


def _passes(name: str, words: list[str]) -> bool:
    say(f"check: {name}")
    return subprocess.run(words, cwd=CHECKOUT, check=False).returncode == 0  # noqa: S603  # words of this module


def run_tests(arguments: list[str]) -> None:
    """Make what the integration tests' servers need, then become pytest."""
    if subprocess.run([PYTHON, "-m", "overread.embedded.setup"], cwd=CHECKOUT, check=False).returncode:  # noqa: S603
        sys.exit(1)
    subprocess.run([PYTHON, "-m", "overread.embedded.referees"], cwd=CHECKOUT, check=False)  # noqa: S603
    os.chdir(CHECKOUT)
    become([str(PYTHON), "-m", "pytest", *arguments])


def become(words: list[str]) -> None:
    """Replace this process; signals and exit status are then the command's own."""
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606  # no shell is wanted


def say(*lines: str) -> None:
    """Write to standard error: standard output belongs to the command."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Do what the first word says."""
    command, rest = (arguments or ["--help"])[0], arguments[1:]
    if command == "--fits":
        return 1 if any(lacks()) else 0
    if command in {"--help", "-h", "help"}:
        sys.stdout.write(HELP)
        return 0
    if command not in {"demo", "up", "test", "check", "bench", "overread"}:
        say(f"./run does not know {command!r}; ./run --help lists its commands")
        return 2
    mend_machine()
    make_environment()
    return _hand_over(command, rest)


def _hand_over(command: str, rest: list[str]) -> int:
    if command == "check":
        return run_checks()
    if command == "test":
        run_tests(rest)
    become([str(PYTHON), "-m", "overread.cli.app", *([] if command == "overread" else [command]), *rest])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
