import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from overread.cli import app, options
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.places import StackError


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, `dead list` after `dead`."""
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                yield from commands(subparser, (*words, name))


ALL = tuple(commands(app.parser()))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` says what a command is for, and ends well."""
    with pytest.raises(SystemExit) as ended:
        app.main([*words, "--help"])

    said = capsys.readouterr().out
    assert (ended.value.code, said.startswith(f"usage: overread {' '.join(words)}".rstrip())) == (0, True)


def test_commands_that_the_documents_name_are_there() -> None:
    """What an outside client may count on."""
    wanted = {("up",), ("demo",), ("status",), ("flow",), ("cases",), ("reports",), ("models",), ("token",), ("bench",)}

    assert wanted | {
        ("hl7", "explain"),
        ("hl7", "send"),
        ("hl7", "watch"),
        ("hl7", "replay"),
        ("simulate", "his"),
        ("simulate", "emr"),
        ("desk", "list"),
        ("rules", "test"),
        ("dead", "list"),
        ("dead", "replay"),
        ("audit", "verify"),
    } <= set(ALL)


def test_no_command_at_all_is_told_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error is 2, with the usage."""
    with pytest.raises(SystemExit) as ended:
        app.main([])

    assert (ended.value.code, "COMMAND" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["flow"],
        ["desk", "list"],
        ["dead", "list"],
        ["dead", "replay", f"{HL7_RECEIVED.dead_name}/0/1"],
        ["audit", "verify"],
    ],
    ids=" ".join,
)
def test_command_on_a_stack_that_never_ran_says_what_to_do(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is one sentence on stderr, with what to do next; standard output stays clean."""
    code = app.main([*words, "--data", str(tmp_path / "none")])

    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith("overread: no stack has run on")
    assert "./run up" in said.err


def test_command_without_a_running_api_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens on the last offset's HTTP port here."""
    monkeypatch.setenv("OVERREAD_PORT_OFFSET", "12999")

    code = app.main(["reports"])

    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n"), "./run up" in said.err) == (1, "", 1, True)


def test_unknown_model_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, with the choice."""
    code = app.main(["models", "unknown"])

    assert (code, "ct-lung-density" in capsys.readouterr().err) == (1, True)


def test_models_are_listed_with_what_they_are_meant_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, version, digest, intended use."""
    code = app.main(["models"])

    assert (code, capsys.readouterr().out.startswith("ct-lung-density 1.0.0")) == (0, True)


def test_shipped_rules_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    """`rules test` without a file tests what is shipped."""
    code = app.main(["rules", "test"])

    assert (code, "ct-lung-density" in capsys.readouterr().out) == (0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[rule]]\nname = 'a'\n", ["rules.toml", "rule.0.models"]),
        ("[[rule]]\nname = 'a'\nmodels = ['nobody']\n", ["'a'", "nobody", "catalogue"]),
        ("[[rule", ["rules.toml"]),
    ],
)
def test_faulty_rules_are_told_by_their_place(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wrote the rule finds the line."""
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")

    code = app.main(["rules", "test", str(file)])

    said = capsys.readouterr().err
    assert (code, [word for word in words if word not in said]) == (1, [])


def test_unknown_benchmark_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Never a traceback."""
    assert app.main(["bench", "unknown"]) == 1
    assert "there is no benchmark 'unknown'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "13001", "x", "", "99999999999999999999", "1.5"])
def test_port_offset_outside_its_range_is_refused_with_the_range(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above it Kafka would enter the ephemeral range."""
    monkeypatch.setenv("OVERREAD_PORT_OFFSET", text)

    with pytest.raises(StackError, match="0 to 13000"):
        options.port_offset()


@pytest.mark.parametrize(("text", "offset"), [(None, 0), ("0", 0), ("13000", 13000)])
def test_port_offset_is_read(text: str | None, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset is none."""
    if text is not None:
        monkeypatch.setenv("OVERREAD_PORT_OFFSET", text)

    assert options.port_offset() == offset


def test_file_that_can_not_be_used_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own words, with the file."""
    (tmp_path / "stack.json").mkdir()

    code = app.main(["status", "--data", str(tmp_path)])

    said = capsys.readouterr().err
    assert (code, said.count("\n"), "stack.json" in said) == (1, 1, True)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_went_away_is_no_error(unbuffered: str) -> None:
    """`overread models | head -1` ends well, whether its lines leave at once or with the last."""
    read_end, write_end = os.pipe()
    os.close(read_end)

    done = subprocess.run(
        [sys.executable, "-m", "overread.cli.app", "models"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write_end)

    assert (done.returncode, done.stderr) == (0, b"")
