"""Senders that speak at our doors by hand, so that a test sees each answer itself."""

import socket
from typing import Any, Self

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack

ANSWER_SECONDS = 15.0


class Line:
    """One MLLP connection."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)

    def __enter__(self) -> Self:
        """Return the line."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._socket.close()

    def write(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(content)

    def ask(self, message: bytes) -> Acknowledgment:
        """Send one message in its frame; return the answer."""
        self.write(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            chunk = self._socket.recv(65536)
            assert chunk, "the connection ended before the answer"
            answer += chunk
        return parse_ack(answer[1:-2])


def associated(port: int, *sop_classes: str, called: str = "OVERREAD") -> Any:
    """Return a scanner's association that proposes `sop_classes`."""
    scanner = AE(ae_title="CT01")
    scanner.acse_timeout = scanner.dimse_timeout = scanner.network_timeout = ANSWER_SECONDS
    for sop_class in sop_classes:
        scanner.add_requested_context(sop_class, ExplicitVRLittleEndian)
    return scanner.associate("127.0.0.1", port, ae_title=called)
