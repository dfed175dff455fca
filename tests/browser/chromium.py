"""The browser that the page is driven in: Debian's Chromium, with a software renderer for its WebGL."""

import functools
import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
INSTALL_SECONDS = 240


@functools.cache
def chromium() -> str | None:
    """Return the browser, installed first where nobody is asked (root on a CI machine of Debian), else None."""
    if _found() is None and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    return _found()


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _install() -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ("chromium", "fonts-dejavu-core")
    for words in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
        subprocess.run(["apt-get", "-q", *words], env=quiet, capture_output=True, check=False, timeout=INSTALL_SECONDS)
