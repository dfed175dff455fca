"""Options that several commands share: which stack is meant."""

import argparse
import os
from pathlib import Path

from overread.embedded.places import MOST_PORT_OFFSET, StackError
from overread.embedded.profile import HTTP_PORT

DEFAULT_DATA = Path("data")


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
