"""Associations that we ask for (PS3.8): pynetdicom plays the SCU, in threads of its own; here is what it needs from us."""

import queue
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from overread.contracts.errors import Unavailable


def associate(
    entity: AE, host: str, port: int, *, called_ae_title: str, tls: Callable[[], ssl.SSLContext] | None = None
) -> Association:
    """Return an association that the peer accepted, or raise `Unavailable` with its reason; blocking.

    `tls` makes what TLS needs; a certificate that can't be read is a reason too.
    """
    rejections: list[A_ASSOCIATE_RJ] = []
    try:
        association = entity.associate(
            host,
            port,
            ae_title=called_ae_title,
            tls_args=(tls(), host) if tls else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, _opened), (evt.EVT_PDU_RECV, _note_rejection, [rejections])],
        )
    except OSError as error:
        raise Unavailable(f"no connection: {type(error).__name__}") from error
    if not association.is_established:
        # A rejection that comes at once, with the end of the connection, is none in pynetdicom's eyes.
        raise Unavailable(
            f"the association was rejected: {rejections[0].reason_str}" if rejections else "no association"
        )
    return association


def leave(association: Association) -> None:
    """Release the association, or abort it when it no longer answers."""
    if association.is_established:
        association.release()
    if not association.is_released:
        association.abort()


def client_context(
    ca_file: Path | str | None, certificate_file: Path | str | None, key_file: Path | str | None
) -> ssl.SSLContext:
    """Return what is needed to call a peer by TLS 1.2 or newer (BCP 195); without `ca_file` the system's authorities."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate_file is not None:
        context.load_cert_chain(certificate_file, key_file)
    return context


class _Answers(queue.Queue[Any]):
    """Messages from the peer, for who waits for them.

    pynetdicom's own thread looks here for requests without waiting, and drops an answer that it finds: the thread that
    sent the question would then wait until its patience ends. Nobody asks anything of us, so that look is in vain.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - as Queue has it
        """Return the next message once it is there; a look that would not wait finds nothing."""
        if not block:
            raise queue.Empty
        return super().get(block, timeout)


def _opened(event: Any) -> None:
    """Keep the answers for who asks; send small PDUs at once: with Nagle's algorithm each waits for an acknowledgement."""
    event.assoc.dimse.msg_queue = _Answers()
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _note_rejection(event: Any, rejections: list[A_ASSOCIATE_RJ]) -> None:
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)
