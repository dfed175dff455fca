"""What docs/desk.md and its section of docs/hl7.md say is so: messages, keys, commands."""

import re
import shlex
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import deciding
from overread.assembly.decisions import DecisionKind
from overread.cli import app
from overread.contracts.identifiers import case_id_for
from overread.embedded.places import CHECKOUT
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

STUDY = "1.2.826.0.1.3680043.10.1.78"
DESK = (CHECKOUT / "docs" / "desk.md").read_text(encoding="utf-8")
_SECTION = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8")
_SECTION = _SECTION.partition("\n### Orders that fit no study by themselves\n")[2].partition("\n### ")[0]
NEW, AGAIN, AGAINST = (
    block.replace("\n", "\r").encode()
    for block in re.findall(r"^```hl7\n(.*?)^```$", _SECTION, re.MULTILINE | re.DOTALL)
)


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def attach(bench: AssemblyBench) -> None:
    """Attach the one order to the one study, as a person does who sees both."""
    [order] = await bench.orders()
    case_id = case_id_for(bench.site_id, STUDY)
    async with bench.service.transaction() as tx:
        pair = await deciding.held_pair(tx, case_id, order.order_id)
        asked = deciding.Asked(
            kind=DecisionKind.ATTACH, case_id=case_id, order_id=order.order_id, reason="typed", version=pair.version
        )
        await deciding.decide(tx, "desk.test", asked, UTC)


@pytest.mark.stack
async def test_messages_of_the_section_do_what_it_says(bench: AssemblyBench) -> None:
    """REQ-DSK-04: attached by a person, told again, contradicted."""
    header = {
        "patient_id": "BN000123",
        "patient_name": "THU NGHIEM^TRAN VAN",
        "patient_birth_date": "1980-01-01",
        "accession_number": "DOC-ACC-12",
    }
    await bench.hears_images(bench.image(1, study=STUDY, attributes=header))
    await bench.hears_orders(NEW)
    waiting = (await bench.links(), await bench.desk())

    await attach(bench)
    await bench.hears_orders(AGAIN)
    attached = (len(await bench.links()), await bench.desk(), (await bench.case(STUDY)).orders[0].priority)
    await bench.hears_orders(AGAINST)

    [against] = await bench.desk()
    assert waiting == (set(), [])
    assert attached == (1, [], "S")
    assert len(await bench.links()) == 1
    assert f"*{against}*" in " ".join(_SECTION.split())


def test_every_decision_has_its_key_and_its_line() -> None:
    """A newcomer finds each in the table."""
    said = re.findall(r"^\| ([a-z ]+) \| `([a-z])` \|", DESK, re.MULTILINE)

    assert {what.replace(" ", "_") for what, _ in said} == {kind.value for kind in DecisionKind}
    assert len({key for _, key in said}) == len(said)


@pytest.mark.parametrize("line", re.findall(r"^\./run overread (desk [^#\n]+)", DESK, re.MULTILINE))
def test_command_of_the_document_is_one(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read without a fault; nothing listens here, so it ends by saying so."""
    monkeypatch.setenv("OVERREAD_PORT_OFFSET", "12999")
    words = shlex.split(re.sub(r"[\[\]]", "", line))

    assert app.main(words) == 1
