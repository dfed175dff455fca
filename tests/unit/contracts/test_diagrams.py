"""The pictures of how-it-works say what the code says."""

from overread.contracts.diagrams import redrawn, report_life_diagram, topics_diagram
from overread.contracts.report_life import TABLE, ReportAction, ReportState, allowed_pairs
from overread.contracts.topics import TOPICS


def test_every_way_of_the_table_is_drawn_and_no_other() -> None:
    """A picture drawn beside the table would grow old."""
    lines = [line.strip() for line in report_life_diagram()]

    drawn = {tuple(line.partition(":")[0].split(" --> ")) for line in lines if " --> " in line and "[*]" not in line}
    assert drawn == {(here.value, there.value) for here, there in allowed_pairs() if here is not there}
    assert "[*] --> drafted" in lines


def test_final_is_reached_only_by_the_gates_word() -> None:
    """REQ-REV-01, as the reader of the picture sees it."""
    ways = [line for line in report_life_diagram() if "--> final" in line]

    assert {way.partition(": ")[2] for way in ways} == {ReportAction.GATE_RELEASED.value}
    assert all(TABLE[state][ReportAction.SIGN] is not ReportState.FINAL for state in ReportState)


def test_every_topic_of_the_way_is_drawn() -> None:
    """All but what everybody writes, an operator's replays, and what only governance hears."""
    drawn = {line.split("|")[1] for line in topics_diagram() if "|" in line}

    aside = {"audit.recorded", "replays.requested", "orders.changed"}
    assert drawn | aside == {topic.name for topic in TOPICS}


def test_a_page_keeps_all_but_its_diagrams() -> None:
    """Prose is written by people."""
    page = "# Before\n<!-- drawn: report-life -->\nold\n<!-- end -->\nafter\n"

    drawn = redrawn(page)

    assert drawn.startswith("# Before\n<!-- drawn: report-life -->\n```mermaid\nstateDiagram-v2\n")
    assert drawn.endswith("```\n<!-- end -->\nafter\n")
    assert redrawn(drawn) == drawn
