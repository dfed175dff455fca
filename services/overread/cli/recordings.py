"""A recorded folder: each message in a file of its own, byte for byte, its time in the file's name."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from overread.contracts.errors import OverreadError
from overread.protocols.hl7.message_files import cut
from overread.protocols.hl7.timestamps import read_timestamp
from overread.protocols.hl7.tokenise import read_header
from overread.runtime.settings import ServiceSettings

MESSAGE, ANSWER = "hl7", "answer"

_STAMP = "%Y%m%dT%H%M%S.%f"
_NAME = re.compile(rf"(\d{{8}}T\d{{6}}\.\d{{6}})-(\d{{6,}})\.({MESSAGE}|{ANSWER})")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message and when it came; None where neither the file's name nor MSH-7 says so."""

    raw: bytes
    came_at: datetime | None


class Recording:
    """Writes a folder that only its owner may read: messages hold patients."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._written = sum(1 for path in folder.iterdir() if _NAME.fullmatch(path.name))
        self.messages = 0

    def keep(self, raw: bytes, now: datetime, kind: str = MESSAGE) -> Path:
        """Write one message, or an answer, under its time; return where."""
        self._written += 1
        self.messages += kind == MESSAGE
        path = self._folder / f"{now.astimezone(UTC):{_STAMP}}-{self._written:06d}.{kind}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - its mode
            file.write(raw)
        return path


def recorded(place: Path) -> list[Recorded]:
    """Return the messages of a file or folder in the order of their times; `OverreadError` when there are none."""
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    found = [each for file in files if _is_message_file(file, place) for each in _of_file(file)]
    if not found:
        raise OverreadError(
            f"{place} holds no message: record some by `overread hl7 record`, or name a file of messages"
        )
    first = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda each: each.came_at or first)


def recorded_answers(place: Path) -> list[bytes]:
    """Return what the receiver behind the recorder answered; nothing of a file, or where there was none."""
    files = sorted(place.iterdir()) if place.is_dir() else []
    return [file.read_bytes() for file in files if file.is_file() and file.suffix == f".{ANSWER}"]


def _is_message_file(file: Path, place: Path) -> bool:
    return file == place or (file.is_file() and file.suffix in {f".{MESSAGE}", ".txt", ".mllp", ".dat"})


def _of_file(file: Path) -> Iterator[Recorded]:
    named = _NAME.fullmatch(file.name)
    came_at = datetime.strptime(named[1], _STAMP).replace(tzinfo=UTC) if named else None
    content = file.read_bytes()
    # A recorded file is one message whatever it holds: what came on the line is not cut again.
    messages = (content,) if named else cut(content).messages
    yield from (Recorded(raw, came_at or sent_at(raw)) for raw in messages)


def sent_at(raw: bytes) -> datetime | None:
    """Read MSH-7, None where it is no time."""
    try:
        return read_timestamp(read_header(raw).component(7, 1), ServiceSettings().time_zone).utc
    except ValueError:
        return None
