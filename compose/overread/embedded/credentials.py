import secrets
from pathlib import Path

from overread.runtime.synced_files import write_once


class Credentials:
    """The stack's generated passwords: one file each, readable by their owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def password(self, name: str) -> str:
        """Return the password called `name`; the first caller makes it, and it is on disk before anybody uses it.

        Of two that start at once, who comes second takes what the first wrote.
        """
        path = self._folder / name
        if not path.exists():
            write_once(path, secrets.token_urlsafe(24).encode())
        return path.read_text().strip()
