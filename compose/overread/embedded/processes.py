"""Children of the supervisor: each in its own session, with a log file, and never left behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from overread.embedded.places import StackError

MARK = "OVERREAD_STACK_MARK"
"""In the environment of each child and all it starts: the data folder's mark, by which leftovers are found."""

PRIVATE_UMASK = 0o077

_LARGEST_LOG = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run: program, environment (whole, nothing is inherited), and the unprivileged user it drops to."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    group: int | None = None
    folder: Path | None = None
    orphan_signal: str = "KILL"

    def marked(self, mark: str) -> "Command":
        """Return the same command with the stack's mark in its environment."""
        return replace(self, environment={**self.environment, MARK: mark})

    def wrapped(self) -> list[str]:
        """Return the words to execute: setpriv ends the child with its parent, and drops root where told.

        PR_SET_PDEATHSIG of prctl(2).
        """
        setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
        return [setpriv, "--pdeathsig", self.orphan_signal, *self._dropping_root(), "--", *self.argv]

    def _dropping_root(self) -> list[str]:
        if self.user is None:
            return []
        # The dropped user still has to walk through private parents of the data folder and the checkout (/root, mktemp -d).
        reach = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"]
        bits = ["--securebits", "+no_setuid_fixup"]
        return ["--reuid", str(self.user), "--regid", str(self.group), "--clear-groups", *reach, *bits]


async def start(command: Command, log: Path, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    """Start `command` in a session of its own, so no terminal signal reaches it; both outputs go to `log`.

    What it writes is its owner's alone: images, messages and rows are patients' data.
    """
    with log_file(log) as output:
        return await asyncio.create_subprocess_exec(
            *command.wrapped(),
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=dict(command.environment),
            cwd=command.folder or "/",
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )


async def finish(command: Command, log: Path, *, timeout_seconds: float) -> None:
    """Run `command` to its end; anything but success is a StackError that names the log."""
    process = await start(command, log)
    try:
        status = await asyncio.wait_for(process.wait(), timeout_seconds)
    except TimeoutError:
        kill_group(process.pid)
        raise StackError(f"{Path(command.argv[0]).name} took more than {timeout_seconds:.0f} s; see {log}") from None
    if status != 0:
        raise StackError(f"{Path(command.argv[0]).name} failed with status {status}; see {log}")


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[int]:
    """Yield a descriptor that appends to `path`; a log grown large is set aside once first."""
    if path.exists() and path.stat().st_size > _LARGEST_LOG:
        path.replace(path.with_suffix(".old.log"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Running(Protocol):
    """A started child: a program of its own, or a service forked from the zygote."""

    @property
    def pid(self) -> int:
        """Return its process number, which is its session's number too."""

    @property
    def returncode(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""

    async def wait(self) -> int:
        """Wait until it has ended."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""


async def stop(process: Running, how: signal.Signals, *, timeout_seconds: float) -> None:
    """End `process` by `how`, by SIGKILL when it takes too long, and whatever it left in its session."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), timeout_seconds)
    kill_group(process.pid)
    await process.wait()


def kill_group(pid: int) -> None:
    """Kill what is left of the session that `pid` led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Return the processes whose environment carries `mark`, this one left out."""
    wanted = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _environment(pid)]


def end_leftovers(mark: str, *, timeout_seconds: float = 10) -> int:
    """End all that an earlier stack with this `mark` left running, and return how many there were.

    SIGQUIT first: it is PostgreSQL's immediate shutdown; its database recovers from its log at the next start.
    """
    left = found = marked(mark)
    deadline = time.monotonic() + timeout_seconds
    how = signal.SIGQUIT
    while left:
        if time.monotonic() > deadline:
            raise StackError(f"processes {left} of an earlier run do not end; end them by hand")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        time.sleep(0.1 if how is signal.SIGKILL else 0.5)
        left, how = marked(mark), signal.SIGKILL
    return len(found)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
