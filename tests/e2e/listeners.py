"""Who listens in on a run: a proxy before Triton that sees each request in the clear, and a collector of traces."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import grpc

UNBOUNDED = 2**31 - 1
LONGEST_SECONDS = 86_400.0
OPTIONS = [
    ("grpc.max_send_message_length", UNBOUNDED),
    ("grpc.max_receive_message_length", UNBOUNDED),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]


@dataclass
class TritonTap(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """A gRPC server that hands every call on to Triton, and keeps its method, metadata and message as they came."""

    record: Path
    target: str = ""
    address: str = ""
    calls: int = 0
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        """Listen on a loopback port; calls go to `target`."""
        self._server = grpc.server(ThreadPoolExecutor(16, thread_name_prefix="tap"), options=OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.stop(1).wait()
        if self.target:
            self._channel().close()

    def service(self, details: Any) -> Any:
        """Take any unary call as bytes (all that Overread asks of Triton is unary)."""

        def call(request: bytes, context: Any) -> bytes:
            metadata = tuple((name, value) for name, value in context.invocation_metadata())
            self._keep(details.method, metadata, request)
            return self._handed_on(details.method, metadata, request, context)

        return grpc.unary_unary_rpc_method_handler(call)

    def _handed_on(self, method: str, metadata: Any, request: bytes, context: Any) -> bytes:
        kept = [(name, value) for name, value in metadata if name != "user-agent"]
        left = context.time_remaining()
        limit = left if left is not None and left < LONGEST_SECONDS else None  # without a deadline it says infinity
        try:
            answer: bytes = self._channel().unary_unary(method)(request, timeout=limit, metadata=kept)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise
        return answer

    def _channel(self) -> Any:
        if not hasattr(self, "_opened"):
            self._opened = grpc.insecure_channel(self.target, options=OPTIONS)
        return self._opened

    def _keep(self, method: str, metadata: object, request: bytes) -> None:
        with self._writing, self.record.open("ab") as file:
            self.calls += 1
            file.write(f"\n{method} {metadata!r}\n".encode())
            file.write(request)


@dataclass
class TraceCollector:
    """An OTLP/HTTP collector that keeps each export as it came."""

    exports: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen on a loopback port."""
        collector = self

        class Export(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.exports.append(str(self.headers).encode() + body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Export)
        threading.Thread(target=self._server.serve_forever, name="traces", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return where traces go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
