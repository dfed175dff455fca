"""The outside judges that `./run test` brings, and that none of them stays behind as a service."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from overread.embedded import referees

ASKED = ["dicom3tools", "orthanc"]


class Machine:
    """A machine with nothing but apt-get and what switches services off; it notes what it is told."""

    def __init__(self, policy: Path) -> None:
        self.policy = policy
        self.installed: list[str] = []
        self.policy_meanwhile = ""
        self.said: list[list[str]] = []

    def apt(self, packages: list[str]) -> None:
        self.installed += packages
        self.policy_meanwhile = self.policy.read_text()

    def run(self, words: list[str], **_: Any) -> None:
        self.said.append(words)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Yield a machine on which root asks for a judge and for one that brings a service."""
    bare = Machine(tmp_path / "policy-rc.d")
    monkeypatch.setattr(referees, "apt", bare.apt)
    monkeypatch.setattr(referees, "POLICY", bare.policy)
    monkeypatch.setattr(referees, "REFEREES", {"dciodvfy": "dicom3tools", "/nowhere/Orthanc": "orthanc"})
    monkeypatch.setattr(subprocess, "run", bare.run)
    missing = {"dciodvfy", "/nowhere/Orthanc"}
    monkeypatch.setattr(shutil, "which", lambda program: None if program in missing else f"/usr/bin/{program}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return bare


def test_root_gets_every_judge_that_is_missing(machine: Machine) -> None:
    """Continuous integration runs as root and judges with all of them."""
    referees.fetch_referees()

    assert machine.installed == ASKED


def test_nobody_else_is_asked_for_a_password(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root nothing is installed; the tests that need a judge skip."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    referees.fetch_referees()

    assert (machine.installed, machine.said) == ([], [])


def test_no_service_starts_while_a_judge_is_installed_or_later(machine: Machine) -> None:
    """Debian starts what it installs: it is denied meanwhile, and taken out of what the machine starts (policy, 9.3.3)."""
    referees.fetch_referees()

    assert machine.policy_meanwhile == referees.DENY
    assert not machine.policy.exists()
    assert machine.said == [["invoke-rc.d", "orthanc", "stop"], ["update-rc.d", "orthanc", "disable"]]


def test_policy_of_the_machine_itself_stays(machine: Machine) -> None:
    """What an administrator, or the maker of a container, laid down is neither replaced nor removed."""
    machine.policy.write_text("exit 104\n")

    referees.fetch_referees()

    assert (machine.policy_meanwhile, machine.policy.read_text()) == ("exit 104\n", "exit 104\n")
