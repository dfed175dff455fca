"""`overread orders`: a sample and a RIS are tried out before anything depends on them, patients hidden."""

from datetime import timedelta
from pathlib import Path

import pytest

from overread.cli import app
from overread.cli.order_lines import state_lines
from overread.runtime.clock import utc_now
from tests.builders.order_files import COLUMNS, a_file, a_row
from tests.builders.worklist import a_worklist_item
from tests.fakes.worklists import running_ris

PATIENT = ("BN999001", "999199000001", "THỬ", "VĂN AN", "1999", "ho kéo dài")
LINKS = """
[[folder]]
link_id = "his-csv"
folder = "/orders"
separator = ";"
language = "en"
[folder.columns]
"""


def told(folder: Path, content: bytes, *words: str) -> int:
    columns = "".join(f'{field} = "{column}"\n' for field, column in COLUMNS.items())
    (folder / "orders.toml").write_text(LINKS + columns, encoding="utf-8")
    (folder / "a.csv").write_bytes(content)
    return app.main(["orders", "try", "--links", str(folder / "orders.toml"), str(folder / "a.csv"), *words])


def test_each_row_is_said_as_the_order_that_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-NON-41: how a sample would be read is seen before the folder is watched."""
    status = told(tmp_path, a_file(a_row(), a_row(SoPhieu="CD002")))

    said = capsys.readouterr().out
    assert status == 0
    assert "row 2, line 3:" in said
    assert "  placer                 CD002" in said
    assert "2 would be taken, 0 would go back" in said


def test_no_patient_is_shown_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-NON-41: whoever helps with a folder needs no name, number, date or finding."""
    told(tmp_path, a_file(a_row(), a_row(GioiTinh="?")))
    hidden = capsys.readouterr().out
    told(tmp_path, a_file(a_row()), "--show-patient")
    shown = capsys.readouterr().out

    assert [secret for secret in PATIENT if secret in hidden] == []
    assert [secret for secret in PATIENT if secret not in shown] == []


def test_a_row_that_would_go_back_is_said_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = told(tmp_path, a_file(a_row(NgaySinh="31/02/1999"), a_row()))

    said = capsys.readouterr().out
    assert status == 1
    assert "row 1, line 2: goes back; NgaySinh: It is no date in a format of the link" in said


def test_a_file_that_would_go_back_whole_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = told(tmp_path, b"x;y\n1;2\n")

    assert status == 1
    assert "the whole file would go back" in capsys.readouterr().out


def test_a_link_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = told(tmp_path, a_file(a_row()), "--link", "other")

    assert status == 1
    assert "there is no folder other in the file" in capsys.readouterr().err


def test_the_file_of_links_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, a_file(a_row()))
    capsys.readouterr()

    assert app.main(["orders", "links", "--links", str(tmp_path / "orders.toml")]) == 0
    assert "his-csv              csv       /orders\n1 link\n" in capsys.readouterr().out


def test_a_ris_is_asked_once_and_its_orders_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-NON-41: what a RIS lists is seen before anything is kept of it."""
    day = f"{utc_now() + timedelta(days=1):%Y%m%d}"
    good = a_worklist_item(1, step={"ScheduledProcedureStepStartDate": day})
    with running_ris([good, a_worklist_item(2, PatientID="")]) as ris:
        (tmp_path / "orders.toml").write_text(
            f'[[worklist]]\nlink_id = "ris"\nhost = "127.0.0.1"\nport = {ris.port}\ncalled_ae_title = "RIS"\n'
        )
        status = app.main(["orders", "worklist", "--links", str(tmp_path / "orders.toml"), "--link", "ris"])

    said = capsys.readouterr().out
    assert status == 1
    assert "accession_number       RIS00001" in said
    assert "can't be taken; The order names no number of the patient" in said
    assert "2 items, 2 orders, 1 can't be taken" in said
    assert "THỬ" not in said
    assert "BN000001" not in said


def test_how_a_running_link_is_is_said_in_a_line() -> None:
    links = [
        {"link": "a", "kind": "folder", "last_round_at": None, "failures": 2, "warning": "the folder can't be used"},
        {"link": "b", "kind": "worklist", "last_round_at": "2026-11-22T05:00:00+00:00", "failures": 0, "warning": None},
    ]

    lines = list(state_lines({"fault": None, "links": links}))

    assert lines[0].endswith("last good round never; the folder can't be used")
    assert lines[1].endswith("last good round 2026-11-22 12:00:00; well")
