"""A watched folder: only whole files are taken, each row is kept before its file is moved, and nothing is lost."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog.testing

from overread.contracts.errors import Unavailable
from overread.order_intake.folder_files import Folder
from overread.order_intake.folder_rounds import FolderRounds
from tests.builders.order_files import a_file, a_folder_link, a_row
from tests.fakes.order_sources import Keeper

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


class Clock:
    """A steady clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def rounds(folder: Path, keeper: Keeper, clock: Clock | None = None, **changed: Any) -> Iterator[FolderRounds]:
    one = FolderRounds(a_folder_link(folder, **changed), keeper.keep, HANOI, clock or Clock())
    try:
        yield one
    finally:
        one.close()


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Let a group have the folder, under a service whose new files are its own."""
    folder.chmod(0o770)
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


async def one_round(folder: Path, keeper: Keeper, **changed: Any) -> str | None:
    with rounds(folder, keeper, **changed) as taking:
        return await taking.round()


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def reasons(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


async def test_a_file_is_done_once_each_row_is_kept(tmp_path: Path) -> None:
    """REQ-NON-20: each row is one order, kept before its file is moved."""
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="1"), a_row(SoPhieu="2")))
    keeper = Keeper()

    warning = await one_round(tmp_path, keeper)

    assert keeper.numbers() == ["1", "2"]
    assert names(tmp_path) == ["done/a.csv"]
    assert warning is None


async def test_a_file_stays_while_its_rows_can_not_be_kept(tmp_path: Path) -> None:
    """REQ-NON-20: with the broker away nothing is moved, and the next round begins again."""
    (tmp_path / "a.csv").write_bytes(a_file(*(a_row(SoPhieu=str(n)) for n in range(5))))
    keeper = Keeper(unavailable_after=3)
    with pytest.raises(Unavailable):
        await one_round(tmp_path, keeper)
    stayed = names(tmp_path)

    keeper.unavailable_after = None
    await one_round(tmp_path, keeper)

    assert stayed == ["taking/a.csv"]
    assert sorted(keeper.numbers()) == ["0", "1", "2", "3", "4"]
    assert names(tmp_path) == ["done/a.csv"]


async def test_good_rows_are_kept_and_bad_ones_go_back_with_their_reasons(tmp_path: Path) -> None:
    """REQ-NON-24: the file lies in `refused` beside the reasons, by line and column, in the link's language."""
    (tmp_path / "a.csv").write_bytes(
        a_file(a_row(SoPhieu="1"), a_row(SoPhieu="2", NgaySinh="31/02/1999"), a_row(SoPhieu="3"), a_row() + ";x")
    )
    keeper = Keeper()

    await one_round(tmp_path, keeper, date_formats=["%d/%m/%Y"])

    assert keeper.numbers() == ["1", "3"]
    assert names(tmp_path) == ["refused/a.csv", "refused/a.csv.reasons.csv"]
    assert reasons(tmp_path / "refused" / "a.csv.reasons.csv") == [
        ["dòng", "cột", "lý do"],
        ["3", "NgaySinh", "Không phải ngày giờ theo mẫu của kênh (%d/%m/%Y)."],
        ["5", "", reasons(tmp_path / "refused" / "a.csv.reasons.csv")[2][2]],
    ]


async def test_a_corrected_file_brings_what_was_missing(tmp_path: Path) -> None:
    """REQ-NON-24: the whole file may be dropped again once it is mended."""
    bad = a_file(a_row(SoPhieu="1"), a_row(SoPhieu="2", GioiTinh="?"))
    (tmp_path / "a.csv").write_bytes(bad)
    keeper = Keeper()
    await one_round(tmp_path, keeper)

    (tmp_path / "a.csv").write_bytes(bad.replace(b"?", "Nữ".encode()))
    await one_round(tmp_path, keeper)

    assert set(keeper.numbers()) == {"1", "2"}
    assert names(tmp_path) == ["done/a.csv", "refused/a.csv", "refused/a.csv.reasons.csv"]


async def test_the_same_file_twice_says_nothing_new(tmp_path: Path) -> None:
    """REQ-NON-25: a row is known by its file's digest and its number, whatever the file is called."""
    content = a_file(a_row(SoPhieu="1"), a_row(SoPhieu="1"))
    keeper = Keeper()

    for name in ("a.csv", "a.csv", "b.csv"):
        (tmp_path / name).write_bytes(content)
        await one_round(tmp_path, keeper)

    assert len(keeper.calls) == 6
    assert len(keeper.kept) == 2
    assert names(tmp_path) == ["done/a.csv", "done/b.csv"]


async def test_rows_of_xml_on_one_line_are_told_apart(tmp_path: Path) -> None:
    order = "<o no='{0}'><p>BN1</p><s>CT</s></o>"
    (tmp_path / "a.xml").write_text(f"<all>{order.format(1)}{order.format(2)}</all>", encoding="utf-8")
    keeper = Keeper()
    columns = {"patient_id": "p", "placer_order_number": "@no", "service_text": "s"}

    await one_round(tmp_path, keeper, format="xml", pattern="*.xml", row_element="all/o", columns=columns)

    assert (len(keeper.kept), keeper.numbers()) == (2, ["1", "2"])


async def test_another_file_of_a_name_that_is_done_keeps_both(tmp_path: Path) -> None:
    keeper = Keeper()
    for number in ("1", "2"):
        (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu=number)))
        await one_round(tmp_path, keeper)

    first, second = sorted((tmp_path / "done").iterdir(), key=lambda path: len(path.name))

    assert (first.name, second.suffix) == ("a.csv", ".csv")
    assert b"\r\n2;" in second.read_bytes()


async def test_a_file_is_taken_once_it_has_not_changed_for_a_while(tmp_path: Path) -> None:
    """REQ-NON-26: a half-written file is never read."""
    clock, keeper, file = Clock(), Keeper(), tmp_path / "a.csv"
    with rounds(tmp_path, keeper, clock, settle_seconds=5) as taking:
        file.write_bytes(a_file(a_row(SoPhieu="1")))
        await taking.round()
        clock.now = 4
        with file.open("ab") as writing:
            writing.write(f"{a_row(SoPhieu='2')}\r\n".encode())
        await taking.round()
        clock.now = 8
        await taking.round()
        early = list(keeper.calls)
        clock.now = 9
        await taking.round()

    assert early == []
    assert keeper.numbers() == ["1", "2"]


@pytest.mark.parametrize("name", ["a.csv.tmp", ".a.csv", "~a.csv", "a.csv.filepart"])
async def test_a_name_of_a_file_that_is_written_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(a_file(a_row()))
    keeper = Keeper()

    await one_round(tmp_path, keeper, pattern="*")

    assert (keeper.calls, names(tmp_path)) == ([], [name])


class WhoWritesOn(Keeper):
    """Somebody still had the file open: it grows while its rows are kept."""

    file: Path

    async def keep(self, *told: Any, **named: Any) -> None:
        with self.file.open("ab") as writing:
            writing.write(f"{a_row(SoPhieu='9')}\r\n".encode())
        await super().keep(*told, **named)


async def test_a_file_that_grows_while_it_is_read_is_not_done(tmp_path: Path) -> None:
    """REQ-NON-26: it is read again, whole, once it has settled."""
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="1")))
    keeper = WhoWritesOn()
    keeper.file = tmp_path / "taking" / "a.csv"

    await one_round(tmp_path, keeper)
    grown = names(tmp_path)
    calm = Keeper()
    await one_round(tmp_path, calm)

    assert grown == ["taking/a.csv"]
    assert calm.numbers() == ["1", "9"]


async def test_a_new_file_of_the_name_that_is_being_taken_is_not_lost(tmp_path: Path) -> None:
    """REQ-NON-26: what a sender drops over a file that is being read waits for its turn."""
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="1")))
    keeper = Keeper(unavailable_after=0)
    with pytest.raises(Unavailable):
        await one_round(tmp_path, keeper)
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="2")))

    keeper.unavailable_after = None
    await one_round(tmp_path, keeper)
    await one_round(tmp_path, keeper)

    assert keeper.numbers() == ["1", "2"]
    assert len(list((tmp_path / "done").iterdir())) == 2


async def test_links_and_other_things_are_not_followed(tmp_path: Path) -> None:
    """REQ-NON-23: a name in the folder can lead nowhere else."""
    outside, inside = tmp_path / "outside.csv", tmp_path / "in"
    outside.write_bytes(a_file(a_row()))
    inside.mkdir()
    (inside / "a.csv").symlink_to(outside)
    (inside / "b.csv").mkdir()
    os.mkfifo(inside / "c.csv")
    keeper = Keeper()

    warning = await one_round(inside, keeper)

    assert keeper.calls == []
    assert outside.exists()
    assert warning == "3 names in the folder are no plain files and are not taken"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.reasons.csv", "a.csv.reasons.csv.writing"])
async def test_nothing_that_lies_in_the_places_is_written_through(tmp_path: Path, name: str) -> None:
    """REQ-NON-23: who may drop files may lay links to what the service alone may write."""
    victim, inside = tmp_path / "victim", tmp_path / "in"
    victim.write_text("precious")
    (inside / "refused").mkdir(parents=True)
    (inside / "refused" / name).symlink_to(victim)
    (inside / "a.csv").write_bytes(a_file(a_row(SoPhieu="")))

    await one_round(inside, Keeper())

    assert victim.read_text() == "precious"
    written = [path for path in (inside / "refused").iterdir() if not path.is_symlink()]
    assert len(written) == 2


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_a_names_place_holds_nothing_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """REQ-NON-23: the file is done under another name; a pipe that is opened would be waited for for ever."""
    (tmp_path / "a.csv").write_bytes(a_file(a_row()))
    folder = Folder(a_folder_link(tmp_path))
    (found,) = folder.take_whole(0.0)
    make(tmp_path / "done" / "a.csv")

    finishing = threading.Thread(target=folder.finish, args=(found, "0" * 64, None), daemon=True)
    finishing.start()
    finishing.join(10)

    done = [path for path in (tmp_path / "done").iterdir() if path.is_file()]
    assert [path.read_bytes() for path in done] == [a_file(a_row())]


async def test_a_place_that_becomes_a_link_meanwhile_is_not_used(tmp_path: Path) -> None:
    """REQ-NON-23: who owns the folder can change it between a look and a move."""
    outside, inside = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    inside.mkdir()
    (inside / "a.csv").write_bytes(a_file(a_row()))
    folder = Folder(a_folder_link(inside))
    (found,) = folder.take_whole(0.0)
    (inside / "done").rmdir()
    (inside / "done").symlink_to(outside)

    with pytest.raises(Unavailable):
        folder.finish(found, "0" * 64, None)

    assert not list(outside.iterdir())
    assert found.path.exists()


async def test_a_place_that_is_a_link_is_refused(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    inside.mkdir()
    (inside / "done").symlink_to(outside)

    with pytest.raises(Unavailable, match="done is a link"):
        await one_round(inside, Keeper())


@pytest.mark.parametrize(
    ("changed", "content", "word"),
    [
        ({"maximum_file_bytes": 10}, a_file(a_row()), "lớn hơn"),
        ({"maximum_rows": 1}, a_file(a_row(), a_row(SoPhieu="2")), "nhiều dòng hơn"),
        ({}, a_file(), "không có phiếu"),
        ({}, b"a,b\n1,2\n", "MaBN"),
        ({"charset": "TCVN3"}, a_file(a_row()), "bảng mã"),
    ],
)
async def test_a_file_that_can_not_be_read_whole_goes_back_whole(
    tmp_path: Path, changed: dict[str, Any], content: bytes, word: str
) -> None:
    """REQ-NON-24: none of its rows is taken, and the reason says what to do."""
    (tmp_path / "a.csv").write_bytes(content)
    keeper = Keeper()

    await one_round(tmp_path, keeper, **changed)

    assert keeper.calls == []
    assert word in reasons(tmp_path / "refused" / "a.csv.reasons.csv")[1][2]
    assert (tmp_path / "refused" / "a.csv").read_bytes() == content


async def test_files_come_in_the_links_order_and_so_many_a_round(tmp_path: Path) -> None:
    for number, name in enumerate(("c", "a", "b")):
        (tmp_path / f"{name}.csv").write_bytes(a_file(a_row(SoPhieu=name)))
        os.utime(tmp_path / f"{name}.csv", (number, number))
    by_name, by_time = Keeper(), Keeper()

    await one_round(tmp_path, by_name, files_per_round=1)
    await one_round(tmp_path, by_time, order_by="time")

    assert (by_name.numbers(), by_time.numbers()) == (["a"], ["c", "b"])


async def test_a_folder_that_is_away_is_told_by_its_own_name(tmp_path: Path) -> None:
    """REQ-NON-27: the link's warning says why."""
    with pytest.raises(Unavailable, match=r"the folder /.*/away can't be used: No such file or directory"):
        await one_round(tmp_path / "away", Keeper())


async def test_what_is_logged_of_a_file_is_its_digest_and_its_counts(tmp_path: Path) -> None:
    """REQ-NON-28: a file's name may be a patient's."""
    (tmp_path / "NGUYEN VAN AN.csv").write_bytes(a_file(a_row(SoPhieu="1"), a_row(MaBN="", CCCD="")))

    with structlog.testing.capture_logs() as logs:
        await one_round(tmp_path, Keeper())

    assert [set(line) for line in logs] == [{"event", "log_level", "link", "digest", "kept", "refused"}]
    assert not any("NGUYEN" in str(line) or "BN999001" in str(line) for line in logs)


async def test_what_the_intake_refuses_for_ever_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="1"), a_row(SoPhieu="2")))

    await one_round(tmp_path, Keeper(refuses=frozenset({"2"})))

    assert len(reasons(tmp_path / "refused" / "a.csv.reasons.csv")) == 2


DIES = """
import asyncio, os, pathlib, signal, sys
from zoneinfo import ZoneInfo
from overread.order_intake.folder_rounds import FolderRounds
from tests.builders.order_files import a_folder_link

folder, point = pathlib.Path(sys.argv[1]), sys.argv[2]
kept = os.open(folder.parent / "kept", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

async def keep(statement, raw, **named):
    os.write(kept, (named["message_id"] + "\\n").encode())
    if point == "keep" and named["message_id"].endswith(":3"):
        die()

if point == "move":
    os.replace = die
if point == "moved":
    from overread.order_intake.folder_places import Place
    Place.sync = die
rounds = FolderRounds(a_folder_link(folder), keep, ZoneInfo("Asia/Ho_Chi_Minh"), lambda: 0.0)
asyncio.run(rounds.round())
"""


@pytest.mark.parametrize("point", ["keep", "move", "moved"])
async def test_a_kill_at_any_point_loses_no_row_and_makes_none_twice(tmp_path: Path, point: str) -> None:
    """REQ-NON-25: kill -9 between keeping and moving repeats rows under ids that are known."""
    folder = tmp_path / "in"
    folder.mkdir()
    content = a_file(*(a_row(SoPhieu=str(number)) for number in range(5)))
    (folder / "a.csv").write_bytes(content)
    died = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES, str(folder), point], check=False, cwd=Path(__file__).parents[3]
    )
    before = (tmp_path / "kept").read_text().split()

    keeper = Keeper()
    await one_round(folder, keeper)

    assert died.returncode == -signal.SIGKILL
    assert len({*before, *keeper.calls}) == 5
    assert names(folder) == ["done/a.csv"]
    assert (folder / "done" / "a.csv").read_bytes() == content


def test_a_folder_of_many_files_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-NON-26: what is remembered of a folder is bounded."""
    monkeypatch.setattr("overread.order_intake.folder_files.MOST_REMEMBERED", 3)
    for number in range(6):
        (tmp_path / f"{number}.csv").write_bytes(b"x")
    folder = Folder(a_folder_link(tmp_path, settle_seconds=1))

    folder.take_whole(0.0)
    taken = folder.take_whole(2.0)

    assert [found.name for found in taken] == ["0.csv", "1.csv", "2.csv"]


async def test_who_may_read_the_folder_reads_what_came_back_too(tmp_path: Path) -> None:
    """REQ-NON-24: the sender mends what lies in refused/, under a service whose own files are its own."""
    (tmp_path / "a.csv").write_bytes(a_file(a_row(SoPhieu="")))

    with shared(tmp_path):
        await one_round(tmp_path, Keeper())

    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("done", "refused", "taking")}
    assert modes == {"done": 0o770, "refused": 0o770, "taking": 0o700}
    assert (tmp_path / "refused" / "a.csv.reasons.csv").stat().st_mode & 0o777 == 0o640
