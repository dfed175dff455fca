"""docs/mapping.md: its files and its order do what the page says."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import mapping_files, mapping_making
from overread.cli.app import main
from overread.embedded.places import CHECKOUT
from overread.routing import rules
from tests.builders.events import a_case
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

PAGE = (CHECKOUT / "docs" / "mapping.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CODES, WRONG = (body for kind, body in _BLOCKS if kind == "csv")
CHECKED, DIFFERENCE, FAULTS = (body for kind, body in _BLOCKS if kind == "text")
(ORDER,) = (body.replace("\n", "\r").encode() for kind, body in _BLOCKS if kind == "hl7")
(RULES,) = (body for kind, body in _BLOCKS if kind == "toml")
HL7 = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition("\n### What its codes mean\n")[2]
HL7_CODES = HL7.partition("```csv\n")[2].partition("```")[0]
HL7_CHECKED = HL7.partition("mapping check codes.csv")[2].partition("\n")[0].strip(" #")


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("file", "expected", "status"),
    [(CODES, CHECKED, 0), (WRONG, FAULTS, 1), (HL7_CODES, f"{HL7_CHECKED}\n", 0)],
)
def test_check_says_what_the_page_shows(
    file: str, expected: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-MAP-04."""
    (tmp_path / "codes.csv").write_text(file, encoding="utf-8")

    ended = main(["mapping", "check", str(tmp_path / "codes.csv")])

    assert (ended, capsys.readouterr().out) == (status, expected)


@pytest.mark.stack
async def test_example_reads_as_the_page_says(bench: AssemblyBench, tmp_path: Path) -> None:
    """REQ-MAP-01: the difference, the order, and the rule below."""
    rows = mapping_files.read(CODES.encode())
    async with bench.service.transaction() as tx:
        compared = await mapping_making.compare(tx, lambda _: rows, timedelta(days=60))
        await mapping_making.make(tx, compared, made_by="test", origin="import")
    await bench.hears_orders(ORDER)

    assert list(compared.difference.sentences()) == DIFFERENCE.splitlines()
    (order,) = await bench.orders()
    assert order.service is not None
    assert order.procedure is not None
    assert order.location is not None
    assert order.requester is not None
    procedure = order.procedure
    said = (order.service.identifier, order.service.text, order.service.coding_system, order.patient_location)
    assert said == ("XQ0017", "CT ngực có thuốc", "99HIS", "K24^P3^G1")
    assert (procedure.identifier, procedure.coding_system, procedure.body_part) == ("24627-2", "LN", "CHEST")
    assert (procedure.text, procedure.text_en, procedure.text_fr) == ("CT ngực", "CT chest", "TDM du thorax")
    assert (order.modality, order.models) == ("CT", ("ct-lung-density",))
    assert (order.location.identifier, order.location.text) == ("K24", "Khoa Cấp cứu, Nhà A")
    assert (order.requester.identifier, order.requester.text) == ("000123/CCHN", "BS. MẪU Một")
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    offer = rules.load(tmp_path / "rules.toml").offer("ct-lung-density", a_case(orders=(order,)))
    assert offer is not None
    assert offer.why == "rule 'chest CT of any HIS'"
