"""How links are shown to operators, on real sockets: state, ports, counts, and what a wrong file leaves as it was."""

import asyncio
from pathlib import Path
from typing import Any

from overread.hl7_intake.link_view import links_view
from overread.protocols import mllp
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi
from tests.fakes.mllp_hospital import Hospital, a_hospital, is_answered, link
from tests.fakes.mllp_lines import free_ports

FILE = Path("links.toml")
FAULT = "links.toml, link ris, idle: there is no such setting; write idle_seconds"


def shown(hospital: Hospital, fault: str | None = None) -> dict[str, Any]:
    """Return each link as an operator is shown it."""
    view = links_view(hospital.reception, FILE, fault, NOON)
    return {row["link_id"]: row for row in view["links"]}


async def test_link_shows_its_port_connections_and_what_came() -> None:
    """REQ-LNK-07: one that nobody uses is told from one that takes messages."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(link("his", his_port), link("ris", ris_port))
        line = await hospital.line(his_port)
        assert await is_answered(line, "M1")
        line.send(an_omi(control_id="M2", put={"PID-3": "", "PID-5": "NGUYEN^AN"}))
        await line.answer()

        seen = shown(hospital)

    assert [seen[name]["state"] for name in ("his", "ris")] == ["listening", "listening"]
    assert seen["his"]["ports"] == [{"number": his_port, "tls": False, "mutual": False}]
    assert [seen[name]["connections"] for name in ("his", "ris")] == [1, 0]
    assert (seen["his"]["within_minutes"]["1"], seen["ris"]["within_minutes"]["1"]) == (2, 0)
    assert (seen["his"]["answers"], seen["his"]["last_error"]["place"]) == ({"CA": 1, "CE": 1}, "PID-3")
    assert "NGUYEN" not in str(seen)


async def test_link_that_the_file_names_wrongly_is_shown_with_the_reason() -> None:
    """REQ-LNK-07: an open one goes on as it was and says so; one that never opened is there too."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(link("his", his_port))
        new = shown(hospital, FAULT)
        await hospital.open(link("his", his_port), link("ris", ris_port))
        known = shown(hospital, FAULT)

    assert (new["his"]["state"], new["ris"]["state"], new["ris"]["reason"]) == ("listening", "refused", FAULT)
    assert (known["ris"]["state"], known["ris"]["ports"][0]["number"]) == ("refused", ris_port)
    assert "goes on as it was" in known["ris"]["reason"]


async def test_link_that_was_taken_away_drains_until_its_last_answer() -> None:
    """REQ-LNK-07: a message whose end was sent is still answered, and meanwhile the link is shown."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        hospital.broker._holds = True
        await hospital.open(link("his", his_port), link("ris", ris_port))
        line = await hospital.line(ris_port)
        line.write(mllp.encode(an_omi()))
        while not hospital.broker.records:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

        closing = asyncio.create_task(hospital.open(link("his", his_port)))
        while "ris" in hospital.reception.open_links:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        draining = shown(hospital)
        hospital.broker.keep(0)
        await closing

    assert (draining["ris"]["state"], draining["ris"]["connections"]) == ("draining", 1)
    assert "ris" not in shown(hospital)
