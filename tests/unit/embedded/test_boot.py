import platform

import pytest

from overread.embedded import boot
from overread.embedded.kafka_jars import locked
from tests.licences import is_denied


def test_this_machine_lacks_nothing() -> None:
    """What runs the tests has passed the checks of ./run."""
    assert list(boot.lacks()) == []


def test_other_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers are built for x86-64."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")

    assert "aarch64" in next(boot.lacks()).what


def test_python_without_shared_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's stub loads the interpreter as a library."""
    static = boot.Interpreter(version="3.99", base="/nowhere", libraries=("/nowhere",))
    monkeypatch.setattr(boot, "python_for_triton", lambda: static)

    assert [lack.package for lack in boot.lacks()] == ["libpython3.99"]


def test_machine_without_a_python_for_triton_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside 3.13 an older Python must be there: numpy below 2 has no wheel for it."""
    monkeypatch.setattr(boot, "python_for_triton", lambda: None)

    assert ["3.11 or 3.12" in lack.what for lack in boot.lacks()] == [True]


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays empty; the answer names --help."""
    status = boot.main(["fly"])

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "--help" in said.err


def test_every_jar_is_pinned_by_digest() -> None:
    """What runs is what was locked, and one version of each."""
    jars = locked()

    assert all(len(jar.sha256) == 64 for jar in jars)
    assert len({jar.artifact for jar in jars}) == len(jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}


@pytest.mark.parametrize(
    ("words", "denied"),
    [
        ("MIT", False),
        ("GPL-3.0-only", True),
        ("AGPL-3.0", True),
        ("LGPL-2.1-or-later", False),
        ("Apache-2.0 OR GPL-2.0", False),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
    ],
)
def test_licence_that_can_not_be_taken_is_denied(words: str, *, denied: bool) -> None:
    """No GPL, no AGPL; LGPL and a choice are fine."""
    assert is_denied(words) is denied
