"""The conformance statement says what the code does: made from its tables, its readers and its rules."""

import pytest

from overread.cli import app, conformance_probes
from overread.cli.conformance_taken import READERS, taken
from overread.cli.hl7_conformance import DOCUMENT, with_tables
from overread.contracts.errors import OverreadError
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.adt import read_patients
from overread.protocols.hl7.conformance_examples import EXAMPLES
from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.errors import MessageErrorCondition
from overread.protocols.hl7.fields_read import fields_read
from overread.protocols.hl7.sentence_table import SENTENCES
from overread.protocols.hl7.timestamps import read_timestamp
from tests.builders.delivery import HANOI
from tests.builders.events import NOON


def test_the_committed_statement_is_what_the_code_says() -> None:
    """REQ-TOOL-12: after a change of a table `./run overread hl7 conformance --into docs/conformance-hl7.md` mends it."""
    document = DOCUMENT.read_text(encoding="utf-8")

    assert with_tables(document) == document


def test_every_kind_that_is_taken_has_a_reader_and_examples() -> None:
    """Who adds a kind of message adds what the statement says of it."""
    assert set(TAKEN) == set(READERS) == set(EXAMPLES)


def test_fields_are_noted_where_a_reader_asks_for_them() -> None:
    """The reader of a patient's number and the message's time asks for these alone."""
    read = fields_read(
        lambda message: [read_timestamp(message.segment("MSH").text(7), HANOI), message.segment("PID").field(3)],  # type: ignore[union-attr]  # the example has both
        EXAMPLES["ADT"][:1],
    )

    assert read == {"MSH": (7,), "PID": (3,)}
    assert set(fields_read(lambda message: read_patients(message, time_zone=HANOI), EXAMPLES["ADT"])) >= {"PID", "MRG"}


def test_every_refusal_of_the_table_is_one_of_the_listener() -> None:
    """Each has a code, a condition and a key of the sentences; a fault that would be taken is no row."""
    rows = [*conformance_probes.refusals(NOON)]

    assert {row.original for row in rows} <= {"AE", "AR"}
    assert {row.enhanced for row in rows if row.key != "no-msh"} <= {"CE", "CR"}
    assert {row.key for row in rows} <= {sentence.key for sentence in SENTENCES}
    assert {row.condition for row in rows} <= {condition.value for condition in MessageErrorCondition}


def test_a_probe_that_would_be_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that is none any more must not stay in the statement."""
    probe = conformance_probes.Probe("nothing is wrong", EXAMPLES["OMI"][0], Link())
    monkeypatch.setattr(conformance_probes, "PROBES", (probe,))

    with pytest.raises(OverreadError, match="nothing is wrong: the listener would take that"):
        [*conformance_probes.refusals(NOON)]


def test_a_document_without_marks_is_told_which_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with both lines."""
    with pytest.raises(OverreadError, match="put these two lines"):
        with_tables("# A document\n")

    assert (app.main(["hl7", "conformance"]), "`OMI^O23`" in capsys.readouterr().out) == (0, True)


def test_a_cell_with_a_bar_does_not_end_its_row() -> None:
    """Markdown ends a cell at a bar."""
    rows = [line for line in taken() if line.startswith("| `")]

    assert rows
    assert len({line.replace("\\|", "").count("|") for line in rows if "`AR`" in line}) <= 2
