"""A sender's end of an MLLP line, and a made-up CA for lines over TLS."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overread.protocols import mllp

HOST = "127.0.0.1"
PATIENCE_SECONDS = 10.0


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(number)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Line:
    """One connection of a sender."""

    @classmethod
    async def to(cls, port: int, **options: Any) -> "Line":
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection(HOST, port, **options))

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *raw: bytes) -> None:
        self._writer.write(b"".join(mllp.encode(message) for message in raw))

    def write(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def write_through(self, raw: bytes) -> None:
        """Write, and wait while the receiver reads slowly; what is written to a closed line is lost."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(raw)
            await self._writer.drain()

    def say_no_more(self) -> None:
        self._writer.write_eof()

    async def answer(self) -> bytes:
        return (await asyncio.wait_for(self._reader.readuntil(b"\x1c\r"), PATIENCE_SECONDS))[1:-2]

    async def exactly(self, length: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(length), PATIENCE_SECONDS)

    async def is_closed(self) -> bool:
        """Say that the receiver has closed, without another answer."""
        try:
            return await asyncio.wait_for(self._reader.read(), PATIENCE_SECONDS) == b""
        except ConnectionError:
            return True

    async def has_silence(self) -> bool:
        try:
            await asyncio.wait_for(self._reader.readexactly(1), 0.1)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the condition is the fake's, which tells nobody
            await asyncio.sleep(0.005)


class Authority:
    """A made-up CA in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.root = folder / "root.pem"
        certificate = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.root.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate for localhost and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(subject, key, x509.BasicConstraints(ca=False, path_length=None))
        paths = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def client(self, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """Return a sender's context that trusts this CA and shows `shown`."""
        context = ssl.create_default_context(cafile=self.root)
        if shown is not None:
            context.load_cert_chain(*shown)
        return context

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())
