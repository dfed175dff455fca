"""The tests' outside judges, brought where we may (root on Debian); without them their tests skip, with a word."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overread.embedded.boot import apt, say

REFEREES = {
    "dciodvfy": "dicom3tools",
    "dcmsend": "dcmtk",
    "/usr/share/java/pixelmed.jar": "libpixelmed-java",
    "/usr/sbin/Orthanc": "orthanc",
    "curl": "curl",
    "jq": "jq",
}
"""Other people's judges of DICOM, and what the documents' commands use: a program or a file, and its Debian package."""

SERVICES = frozenset({"orthanc"})
"""Packages that bring a service: the tests start the program themselves, on loopback, and nobody else shall."""

POLICY = Path("/usr/sbin/policy-rc.d")
DENY = "#!/bin/sh\n# Overread's tests install a program whose service must not start. To be deleted.\nexit 101\n"
"""What Debian's invoke-rc.d and deb-systemd-invoke ask before they start anything (Debian policy, 9.3.3)."""


def fetch_referees() -> None:
    """Install what is missing where we may, and leave no service of it running, now or after the next start."""
    missing = [package for what, package in REFEREES.items() if not (shutil.which(what) or Path(what).exists())]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"test: installing {' '.join(missing)} by apt-get")
        with _no_service_started():
            apt(missing)
        for service in sorted(SERVICES & set(missing)):
            _switch_off(service)


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Deny every start of a service meanwhile; where the machine has a policy of its own, that one holds."""
    is_ours = not POLICY.exists() or POLICY.read_text() == DENY
    if is_ours:
        POLICY.write_text(DENY)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if is_ours:
            POLICY.unlink(missing_ok=True)


def _switch_off(service: str) -> None:
    """Stop it where a policy let it start, and take it out of what the machine starts."""
    for words in (["invoke-rc.d", service, "stop"], ["update-rc.d", service, "disable"]):
        if shutil.which(words[0]):
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)  # noqa: S603  # Debian's own


if __name__ == "__main__":
    fetch_referees()
