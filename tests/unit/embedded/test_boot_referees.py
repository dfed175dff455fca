"""The outside judges that `./run test` brings."""

import os
import shutil

import pytest

from overread.embedded import boot


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What apt-get would have been asked for, on a machine with nothing but apt-get."""
    asked: list[str] = []
    monkeypatch.setattr(boot, "_apt", asked.extend)
    monkeypatch.setattr(boot, "REFEREES", {"dciodvfy": "dicom3tools", "/nowhere/pixelmed.jar": "libpixelmed-java"})
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/apt-get" if program == "apt-get" else None)
    return asked


def test_root_gets_every_judge_that_is_missing(monkeypatch: pytest.MonkeyPatch, installed: list[str]) -> None:
    """Continuous integration runs as root and judges with all of them."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    boot.fetch_referees()

    assert installed == ["dicom3tools", "libpixelmed-java"]


def test_nobody_else_is_asked_for_a_password(monkeypatch: pytest.MonkeyPatch, installed: list[str]) -> None:
    """Without root nothing is installed; the tests that need a judge skip."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    boot.fetch_referees()

    assert installed == []
