"""The process that services are forked from: it has imported their code, and done nothing else.

Imports cost seconds; a fork of what is imported costs milliseconds, at the first start and at each restart. Before a
fork there is no client, no loop and no second thread. Started by the supervisor with one socket as standard input.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LARGEST_ORDER = 65_536


def main(modules: list[str]) -> None:
    """Import `modules`, then fork a service for each order that comes, and tell how each one ended."""
    control = socket.socket(fileno=0)
    woken = _wake_on_child_end()
    _preload(modules)
    _serve(control, woken)


def _wake_on_child_end() -> int:
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _preload(modules: list[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, SyntaxError):  # the service itself meets the same fault, in its own log
            traceback.print_exc()
    gc.freeze()
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        sys.stderr.write(f"zygote: {threads} threads after the imports; a fork copies only one\n")
        sys.stderr.flush()


def _serve(control: socket.socket, woken: int) -> None:
    pending = b""
    while True:
        readable, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _tell_ended(control)
        if control.fileno() in readable:
            received = control.recv(_LARGEST_ORDER)
            if not received:
                return
            *orders, pending = (pending + received).split(b"\n")
            for order in orders:
                _obey(control, json.loads(order))


def _obey(control: socket.socket, order: dict[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        control.detach()  # its descriptor is standard input, which `_redirect` replaces
        _become(order)
    _tell(control, {"started": pid, "ticket": order["ticket"]})


def _tell_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(control, {"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(control: socket.socket, fact: Mapping[str, object]) -> None:
    control.sendall(json.dumps(fact).encode() + b"\n")


def _become(order: dict[str, Any]) -> None:
    """Turn the fork into the service and never return."""
    status = 1
    try:
        _settle(order)
        module, _, function = order["target"].partition(":")
        getattr(importlib.import_module(module), function)()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001  # the last frame of a process: what goes wrong is written down, then it ends
        traceback.print_exc()
    finally:
        _leave(status)


def _settle(order: dict[str, Any]) -> None:
    os.setsid()
    _die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _redirect(order["log"])
    os.environ.update(order["environment"])
    sys.argv = [order["name"]]
    ctypes.CDLL(None).prctl(15, order["name"].encode()[:15], 0, 0, 0)  # PR_SET_NAME: what `ps` and `top` show


def _die_with_parent() -> None:
    """Let the kernel end this process when the zygote ends (PR_SET_PDEATHSIG of prctl(2))."""
    zygote = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != zygote:
        os._exit(1)


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)


def _leave(status: int) -> None:
    try:
        atexit._run_exitfuncs()  # noqa: SLF001  # os._exit alone would skip what the service registered
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
