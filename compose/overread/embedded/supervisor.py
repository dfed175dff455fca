"""The embedded stack: real servers and all services on one machine, started, watched and stopped together."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from overread.embedded import health, setup
from overread.embedded.endpoints import Endpoints
from overread.embedded.forking import Order, Zygote
from overread.embedded.kafka import Kafka
from overread.embedded.keeper import Keeper, Progress, Server, ServerChild, ServiceChild
from overread.embedded.places import DataFolder, Ports, StackError
from overread.embedded.postgres import Postgres
from overread.embedded.processes import MARK, end_leftovers
from overread.embedded.triton import MODEL_REPOSITORY, Triton

SERVERS: tuple[str, ...] = ("postgres", "kafka", "triton")


def on_screen(line: str) -> None:
    """Show one line of progress; standard output stays free for results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """One service to run: its `module:function`, its own settings, where it answers `/readyz`, the ports it needs.

    Settings never replace what the stack itself decides: addresses, credentials, the site. `health` is a Unix socket or a loopback port; left out, it is the socket named by OVERREAD_HEALTH_SOCKET.
    """

    name: str
    target: str
    environment: Mapping[str, str] = field(default_factory=dict)
    health: Path | int | None = None
    ports: Mapping[str, int] = field(default_factory=dict)


class Stack:
    """Servers and services of one data folder, as an async context manager: entered, everything is healthy.

    `configure` writes the services' configuration, once the folder is this stack's alone.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port_offset: int = 0,
        services: Sequence[ServiceSpec] = (),
        servers: Sequence[str] = SERVERS,
        site_id: str | None = None,
        configure: Callable[[], None] = lambda: None,
        model_repository: Path = MODEL_REPOSITORY,
        progress: Progress = on_screen,
    ) -> None:
        self.data = DataFolder(data_dir)
        self.endpoints = Endpoints.at(self.data, Ports(offset=port_offset), site_id)
        self._configure = configure
        self._services = services
        self._servers = servers
        self._model_repository = model_repository
        self._progress = progress
        self._keepers: dict[str, Keeper] = {}
        self._zygote: Zygote | None = None
        self._lock: IO[str] | None = None
        self.seconds: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        """Start everything; on failure nothing is left running."""
        began = time.monotonic()
        await asyncio.to_thread(setup.prepare, self._progress)
        self._take_folder()
        try:
            await self._start(began)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything in order."""
        await self.stop()

    def pid(self, name: str) -> int:
        """Return the process number of a child."""
        running = self._keeper(name).running
        if running is None:
            raise StackError(f"{name} has not been started")
        return running.pid

    def starts(self, name: str) -> int:
        """Return how often a child was started."""
        return self._keeper(name).starts

    def kill(self, name: str) -> None:
        """End a child by SIGKILL, as a power cut or the kernel would; its keeper starts it again."""
        self._keeper(name).healthy.clear()
        os.kill(self.pid(name), signal.SIGKILL)

    async def wait_ready(self, name: str, timeout_seconds: float = 60) -> None:
        """Wait until a child is healthy (again)."""
        await self._keeper(name).until_healthy(timeout_seconds)

    def environment_of(self, spec: ServiceSpec) -> dict[str, str]:
        """Return all that a service is told: its own settings, under what the stack decides."""
        return {**spec.environment, **self.endpoints.environment_of(spec.name)}

    def log_of(self, name: str) -> Path:
        """Return the log file of a child."""
        return self.data.log_of(name)

    async def stop(self) -> None:
        """Stop services first; then the servers, all at once, since nobody uses them any more."""
        services = [keeper for name, keeper in self._keepers.items() if name not in SERVERS]
        servers = [keeper for name, keeper in self._keepers.items() if name in SERVERS]
        await asyncio.gather(*(keeper.stop() for keeper in services))
        if self._zygote is not None:
            await self._zygote.end()
        await asyncio.gather(*(keeper.stop() for keeper in servers))
        self._keepers.clear()
        self._leave_folder()

    def _take_folder(self) -> None:
        self.data.make()
        self._lock = self.data.lock.open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._leave_folder()
            raise StackError(
                f"another stack runs on {self.data.root}: stop it, or choose another folder by --data"
            ) from None

    def _leave_folder(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _start(self, began: float) -> None:
        found = await asyncio.to_thread(end_leftovers, self.data.mark)
        if found:
            self._progress(f"ended {found} processes that an earlier run left behind")
        health.require_free(self._wanted_ports(), self.endpoints.ports.offset)
        self.endpoints.record()
        await asyncio.to_thread(self._configure)
        await self._start_all("servers", [self._server_keeper(server) for server in self._chosen_servers()], began)
        if self._services:
            await self._start_all("services", [self._service_keeper(spec) for spec in self._services], began)

    async def _start_all(self, what: str, keepers: list[Keeper], began: float) -> None:
        for keeper in keepers:
            self._keepers[keeper.child.name] = keeper
            keeper.begin()
        if what == "servers" and self._services:
            await self._begin_zygote()
        await _all_or_first_failure([keeper.until_healthy() for keeper in keepers])
        self.seconds[what] = time.monotonic() - began
        self._progress(f"{what} healthy: {self.seconds[what]:.1f} s")

    async def _begin_zygote(self) -> None:
        modules = [spec.target.partition(":")[0] for spec in self._services]
        bare = {name: value for name, value in os.environ.items() if not name.startswith("OVERREAD_")}
        environment = {**bare, "OPENBLAS_NUM_THREADS": "1", MARK: self.data.mark}
        self._zygote = Zygote(modules=modules, environment=environment, log=self.data.log_of("zygote"))
        await self._zygote.begin()

    def _wanted_ports(self) -> dict[str, int]:
        ports = self.endpoints.ports
        by_server = {
            "kafka": {"Kafka": ports.kafka, "Kafka controller": ports.kafka_controller},
            "triton": {
                "Triton HTTP": ports.triton_http,
                "Triton gRPC": ports.triton_grpc,
                "Triton metrics": ports.triton_metrics,
            },
        }
        wanted = {name: port for server in self._servers for name, port in by_server.get(server, {}).items()}
        for spec in self._services:
            wanted.update(spec.ports)
        return wanted

    def _chosen_servers(self) -> list[Server]:
        credentials, ports = self.endpoints.credentials, self.endpoints.ports
        all_servers: dict[str, Callable[[], Server]] = {
            "postgres": lambda: Postgres(data=self.data, credentials=credentials),
            "kafka": lambda: Kafka(data=self.data, ports=ports, credentials=credentials),
            "triton": lambda: Triton(data=self.data, ports=ports, model_repository=self._model_repository),
        }
        return [all_servers[name]() for name in SERVERS if name in self._servers]

    def _server_keeper(self, server: Server) -> Keeper:
        log = self.data.log_of(server.name)
        child = ServerChild(server=server, mark=self.data.mark, log=log)
        return Keeper(child=child, progress=self._progress, log=log)

    def _service_keeper(self, spec: ServiceSpec) -> Keeper:
        if self._zygote is None:
            raise StackError("the zygote is not there")
        log = self.data.log_of(spec.name)
        order = Order(name=spec.name, target=spec.target, environment=self.environment_of(spec), log=log)
        address = spec.health if spec.health is not None else self.data.service_socket(spec.name)
        child = ServiceChild(order=order, zygote=self._zygote, address=address)
        return Keeper(child=child, progress=self._progress, log=log)

    def _keeper(self, name: str) -> Keeper:
        try:
            return self._keepers[name]
        except KeyError:
            raise StackError(f"{name} is not part of this stack; there are {', '.join(self._keepers)}") from None


async def serve(stack: Stack, *, on_ready: Callable[[], None] | None = None) -> None:
    """Run `stack` until SIGTERM or SIGINT, also while it starts; say `ready` on standard output when it is."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    starting = asyncio.create_task(stack.__aenter__())
    stopping = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    await starting
    (on_ready or _say_ready)()
    await told_to_stop.wait()
    on_screen("stopping")
    await stack.stop()


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


async def _all_or_first_failure(waits: list[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
