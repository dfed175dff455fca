"""Options that several commands share: which stack is meant, and what a port and an AE title are."""

import argparse
import os
import re
from pathlib import Path

from overread.embedded.places import MOST_PORT_OFFSET, StackError
from overread.embedded.profile import HTTP_PORT

DEFAULT_DATA = Path("data")
MOST_PORT = 65_535

_AE_TITLE = re.compile(r"(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}")


def port(text: str) -> int:
    """Read a port to listen on; 0 is any that is free."""
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) <= MOST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a whole number from 1 to {MOST_PORT}")
    return int(text)


def ae_title(text: str) -> str:
    """Read an application entity title (PS3.5, 6.2, AE): at most 16 characters, no backslash, not blanks alone."""
    if not _AE_TITLE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no AE title: write 1 to 16 characters of ASCII, without backslash, as CT1"
        )
    return text


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data DIR`."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("OVERREAD_DATA_DIR", DEFAULT_DATA)),
        metavar="DIR",
        help="the stack's data folder (default: OVERREAD_DATA_DIR, else ./data)",
    )


def port_offset() -> int:
    """Return OVERREAD_PORT_OFFSET, 0 when unset."""
    text = os.environ.get("OVERREAD_PORT_OFFSET", "0")
    if not (text.isdecimal() and len(text) < 9 and int(text) <= MOST_PORT_OFFSET):
        raise StackError(f"OVERREAD_PORT_OFFSET is {text!r}; it must be a whole number from 0 to {MOST_PORT_OFFSET}")
    return int(text)


def http_port() -> int:
    """Return where page and API listen: OVERREAD_HTTP_PORT, 8080 when unset, after the offset."""
    text = os.environ.get("OVERREAD_HTTP_PORT") or str(HTTP_PORT)
    if not text.isdecimal():
        raise StackError(f"OVERREAD_HTTP_PORT is {text!r}; it must be a port number")
    return int(text) + port_offset()
