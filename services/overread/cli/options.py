"""Options that several commands share: which stack is meant."""

import argparse
import os
from pathlib import Path

from overread.embedded.places import StackError

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
    if not text.isdecimal():
        raise StackError(f"OVERREAD_PORT_OFFSET is {text!r}; it must be a whole number from 0 to 13000")
    return int(text)
