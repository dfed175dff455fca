"""The links that we fetch orders from: each by itself, followed while the service runs, and a warning where one fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from overread.contracts.errors import Unavailable
from overread.order_intake.source_watch import Rounds, Sources, wait_seconds
from overread.order_intake.sources import Source, SourcesRefused, parse
from tests.builders.events import NOON
from tests.builders.order_files import a_folder_link
from tests.builders.worklist import a_worklist_link
from tests.fakes.hl7_intake import FakeClock

FOLDER = """
[[folder]]
link_id = "{0}"
folder = "/orders/{0}"
poll_seconds = {1}
columns = {{ patient_id = "BN", placer_order_number = "SP", service_text = "DV" }}
"""
RIS = '[[worklist]]\nlink_id = "ris"\nhost = "10.0.0.1"\nport = 104\ncalled_ae_title = "RIS"\n'


class FakeRounds:
    """Rounds that do as a test says."""

    def __init__(self) -> None:
        self.rounds, self.is_closed = 0, False
        self.failure: Exception | None = None
        self.warning: str | None = None

    async def round(self) -> str | None:
        self.rounds += 1
        if self.failure:
            raise self.failure
        return self.warning

    def close(self) -> None:
        self.is_closed = True


class Opened:
    """What the watch has opened, by link."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[FakeRounds]] = {}
        self.failures: dict[str, Exception] = {}
        self.broken: set[str] = set()

    async def open(self, source: Source) -> Rounds:
        if source.link_id in self.broken:
            raise KeyError("a bug")
        one = FakeRounds()
        one.failure = self.failures.get(source.link_id)
        self.rounds.setdefault(source.link_id, []).append(one)
        return one


async def turns() -> None:
    """Let every task have its turn; reading the file takes a thread's time too."""
    for _ in range(10):
        await asyncio.sleep(0.002)


@asynccontextmanager
async def watching(file: Path, opened: Opened) -> AsyncIterator[Sources]:
    sources = Sources(file, opened.open, FakeClock(NOON))
    running = asyncio.create_task(sources.run())
    await turns()
    yield sources
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def looked(sources: Sources) -> None:
    await sources.look()
    await sources.look()
    await turns()


async def test_a_change_to_one_link_never_disturbs_another(tmp_path: Path) -> None:
    """REQ-NON-40: what reads as before goes on; the other ends and begins anew."""
    file, opened = tmp_path / "orders.toml", Opened()
    file.write_text(FOLDER.format("a", 60) + FOLDER.format("b", 60) + RIS)

    async with watching(file, opened) as sources:
        file.write_text(FOLDER.format("a", 60) + FOLDER.format("b", 30))
        await looked(sources)
        closed = {link: [one.is_closed for one in rounds] for link, rounds in opened.rounds.items()}

    assert closed == {"a": [False], "b": [True, False], "ris": [True]}
    assert all(rounds[-1].is_closed for rounds in opened.rounds.values())


async def test_a_file_that_can_not_be_used_changes_nothing_and_says_why(tmp_path: Path) -> None:
    """REQ-NON-40: log and readiness say why until it is mended."""
    file, opened = tmp_path / "orders.toml", Opened()
    file.write_text(FOLDER.format("a", 60))

    async with watching(file, opened) as sources:
        file.write_text(FOLDER.format("a", 60) + "[[folders]]\n")
        await looked(sources)
        fault, is_closed = sources.fault, opened.rounds["a"][0].is_closed
        file.write_text(FOLDER.format("a", 60))
        await looked(sources)

        assert sources.fault is None

    assert "folders: there is no such table; write [[folder]]" in (fault or "")
    assert not is_closed


async def test_a_link_that_fails_is_a_warning_and_the_others_go_on(tmp_path: Path) -> None:
    """REQ-NON-27: a folder or a RIS that is away is no death of the service."""
    file, opened = tmp_path / "orders.toml", Opened()
    file.write_text(FOLDER.format("a", 60) + FOLDER.format("b", 60) + FOLDER.format("c", 60))
    opened.failures = {"a": Unavailable("the folder can't be used: gone"), "b": KeyError("a bug")}

    async with watching(file, opened) as sources:
        warnings, view = sources.warnings(), {one["link"]: one for one in sources.view()}

    assert set(warnings) == {"link a", "link b"}
    assert warnings["link a"] == "the folder can't be used: gone"
    assert "defect" in warnings["link b"]
    assert (view["a"]["failures"], view["a"]["last_round_at"]) == (1, None)
    assert (view["c"]["failures"], view["c"]["last_round_at"]) == (0, NOON.isoformat())


async def test_a_link_that_can_not_be_opened_is_a_warning_too(tmp_path: Path) -> None:
    """REQ-NON-27: a bug of ours in one link is told, and ends nothing else."""
    file, opened = tmp_path / "orders.toml", Opened()
    file.write_text(FOLDER.format("a", 60) + FOLDER.format("b", 60))
    opened.broken = {"a"}

    async with watching(file, opened) as sources:
        warnings = sources.warnings()

    assert list(warnings) == ["link a"]
    assert opened.rounds["b"][0].rounds == 1


def test_a_link_waits_longer_with_each_failure() -> None:
    """REQ-NON-35: an open breaker asks seldom; one answer closes it."""
    ris = a_worklist_link(poll_seconds=60, retry_seconds=5, longest_retry_seconds=100)

    assert [wait_seconds(ris, failures) for failures in (0, 1, 2, 3, 6, 100)] == [60, 5, 10, 20, 100, 100]
    assert wait_seconds(a_folder_link(Path("/orders"), poll_seconds=2), 0) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[folder]\n", "is no TOML"),
        (RIS.replace('"ris"', '"kafka-ris"'), "link kafka-ris, link_id: names that begin with kafka- are those of"),
        ("[folder]\nlink_id = 'a'\n", "two brackets"),
        (FOLDER.format("a", 60) * 2, "two links have it"),
        (FOLDER.format("a", 60) + FOLDER.format("b", 60).replace("/orders/b", "/orders/a"), "link a has it"),
        (FOLDER.format("a", 60).replace("/orders/a", "orders"), "write the whole path"),
        (FOLDER.format("a", 60) + "seperator = ';'\n", "link a, seperator: there is no such setting; write separator"),
        (FOLDER.format("a", 60).replace("service_text", "service_txt"), "write service_text"),
        (FOLDER.format("a", 60).replace('patient_id = "BN", ', ""), "link a, columns: name the column of patient_id"),
        (RIS.replace("port = 104", "port = 'x'"), "link ris, port"),
        (RIS.replace("port = 104\n", ""), "write for example port = 104"),
    ],
)
def test_a_fault_of_the_file_names_link_setting_and_remedy(text: str, said: str) -> None:
    """REQ-NON-40: whoever wrote it is told what to write."""
    with pytest.raises(SourcesRefused) as refused:
        parse(text, Path("orders.toml"))

    assert said in str(refused.value)
