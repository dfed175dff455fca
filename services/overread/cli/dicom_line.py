"""Associations as a modality makes them, and what their refusals mean (PS3.8, 9.3.4; PS3.7, C)."""

import argparse
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from overread.cli import options
from overread.contracts.errors import OverreadError

DICOM_PORT = 11112
SECONDS = 30.0

_REJECTIONS = {
    (1, 1): "the application context is not supported",
    (1, 2): "the application context is not supported",
    (1, 3): "the calling AE title is not one that may call: name yours with --as, or add it to "
    "OVERREAD_DICOM_CALLING_AE_TITLES",
    (1, 7): "the called AE title is not ours: write --to OVERREAD@HOST:PORT, or add it to "
    "OVERREAD_DICOM_CALLED_AE_TITLES",
    (3, 2): "there are as many associations as may be open; try again, or raise OVERREAD_DICOM_MAXIMUM_ASSOCIATIONS",
}
_STATUSES = {
    0x0106: "an attribute has a value that it may not have",
    0x0110: "it could not be processed",
    0x0111: "there is one with this UID already",
    0x0112: "there is none with this UID",
    0x0117: "the UID is none",
    0x0120: "an attribute is missing",
    0x0122: "this SOP class is not taken",
    0x0211: "this operation is not served",
    0xA700: "there is no room, or a part of the gateway is away: send it again later",
    0xA900: "the data set does not fit its SOP class or its UIDs",
    0xC000: "the data set can't be understood",
    0xC001: "it can't be answered at present: ask again later",
}


class LineError(OverreadError):
    """The other side can't be reached or does not take what is asked; the sentence says what to do."""


def add_line(parser: argparse.ArgumentParser) -> None:
    """Add `--to` and `--as`."""
    parser.add_argument(
        "--to",
        default=None,
        metavar="AE@HOST:PORT",
        help=f"whom to call (default: OVERREAD@127.0.0.1:{DICOM_PORT}, after OVERREAD_PORT_OFFSET)",
    )
    parser.add_argument(
        "--as",
        dest="calling",
        type=options.ae_title,
        default="OVERREAD_TOOL",
        metavar="AE",
        help="the calling AE title",
    )


@contextmanager
def associated(
    told: argparse.Namespace, contexts: Sequence[tuple[str, Sequence[str]]], handlers: Sequence[Any] = ()
) -> Iterator[Association]:
    """Have an association with these abstract and transfer syntaxes for the block, or raise `LineError`."""
    title, host, port = _address(told.to)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what it would say, we say in words
    entity = AE(ae_title=told.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = SECONDS
    for abstract_syntax, transfer_syntaxes in contexts:
        entity.add_requested_context(abstract_syntax, list(transfer_syntaxes))
    rejections: list[A_ASSOCIATE_RJ] = []
    noting: list[Any] = [(evt.EVT_CONN_OPEN, _without_delay), (evt.EVT_PDU_RECV, _note_rejection, [rejections])]
    association = entity.associate(host, port, ae_title=title, evt_handlers=[*noting, *handlers])
    if not association.is_established:
        raise LineError(_why_not(rejections, title, host, port))
    try:
        yield association
    finally:
        association.release()


def status_word(status: Any) -> str:
    """Return what a status means, with its code and the comment that came with it."""
    code = status.get("Status")
    if code is None:
        return "no answer: the association ended"
    if code == 0x0000:
        return "0x0000 success"
    comment = str(status.get("ErrorComment", "") or "")
    return f"0x{code:04X} {comment or _STATUSES.get(code, 'refused')}"


def files_of(paths: Sequence[Path]) -> list[tuple[Path, FileDataset]]:
    """Return the DICOM files among `paths` and in the folders among them, pixels unread until they are needed."""
    found = [(file, data_set) for path in paths for file in _under(path) if (data_set := _read(file)) is not None]
    if not found:
        raise LineError(f"there is no DICOM file in {', '.join(map(str, paths))}")
    return found


def _under(path: Path) -> list[Path]:
    if not path.exists():
        raise LineError(f"{path} is not there")
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _read(file: Path) -> FileDataset | None:
    try:
        return dcmread(file, defer_size=1 << 16)
    except (InvalidDicomError, OSError):
        return None


def _address(text: str | None) -> tuple[str, str, int]:
    if text is None:
        return "OVERREAD", "127.0.0.1", DICOM_PORT + options.port_offset()
    title, _, place = text.rpartition("@")
    host, _, port = place.rpartition(":")
    try:
        called, number = options.ae_title(title), options.port(port)
    except argparse.ArgumentTypeError as error:
        raise LineError(f"{text!r}: {error}; as a whole: AE@HOST:PORT, as OVERREAD@127.0.0.1:11112") from None
    if not host or not number:
        raise LineError(f"{text!r} is no address: write AE@HOST:PORT, as OVERREAD@127.0.0.1:11112")
    return called, host, number


def _why_not(rejections: Sequence[A_ASSOCIATE_RJ], title: str, host: str, port: int) -> str:
    if rejections:
        rejection = rejections[0]
        known = _REJECTIONS.get((rejection.source or 0, rejection.reason_diagnostic or 0))
        return f"{title} at {host}:{port} rejected the association: {known or rejection.reason_str}"
    return f"nobody answers as DICOM at {host}:{port}: is the stack up, and the port right?"


def _note_rejection(event: Any, rejections: list[A_ASSOCIATE_RJ]) -> None:
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _without_delay(event: Any) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
