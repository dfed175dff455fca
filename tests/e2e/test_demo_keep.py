"""`./run demo --keep`: a worklist that a radiologist understands without help, until Ctrl-C.

`test_demo.py` judges the story of the same run; what ends it stands last here.
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from overread.embedded.profile import SERVICES
from tests.e2e.demo_run import DemoRun
from tests.e2e.documents import QUICK_START, Newcomer, blocks

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420)]

FOUND, NOT_MEANT, DID_NOT_RUN = "found", "not_for_this_patient", "did_not_run"


@pytest.fixture(scope="module")
def said(demo_run: DemoRun) -> str:
    """Return all that the demo said until it stayed."""
    demo_run.result()
    return demo_run.until_it_stays()


@pytest.fixture(scope="module")
def rows(demo_run: DemoRun, said: str) -> list[dict[str, Any]]:
    """Return the open worklist as the page asks for it."""
    return demo_run.worklist()


def test_emergency_stands_first_although_it_came_last(rows: list[dict[str, Any]]) -> None:
    """STAT first, then who has waited longest; each can be read, and nobody has signed one."""
    since = [row["waiting_since"] for row in rows]

    assert [row["priority"] for row in rows] == ["S", "R", "R", "R", "R"]
    assert since[0] > since[1]
    assert since[1:] == sorted(since[1:])
    assert ({row["status"] for row in rows}, rows[0]["ai"]["kind"]) == ({"drafted"}, FOUND)


def test_list_shows_each_kind_of_answer_with_its_reason(rows: list[dict[str, Any]]) -> None:
    """*AI found*, *AI did not run, because*, *not meant for this patient*: told apart, and said why."""
    said = {row["study_description"]: (row["ai"]["kind"], row["ai"]["line"]) for row in rows}
    sharp, water = said["CT CHEST PHANTOM, SHARP KERNEL"], said["CT CHEST, WATER PHANTOM"]

    assert sorted(kind for kind, _ in said.values()) == sorted([FOUND, FOUND, FOUND, NOT_MEANT, DID_NOT_RUN])
    assert (sharp[0], "kernel SHARP is not on the list of soft kernels" in sharp[1]) == (NOT_MEANT, True)
    assert water == (DID_NOT_RUN, "no air was found inside the body")


def test_images_that_nobody_ordered_wait_too(rows: list[dict[str, Any]]) -> None:
    """One row has no order, and so no accession number; its model read it all the same."""
    [unordered] = [row for row in rows if not row["accession_numbers"]]

    assert (unordered["ai"]["kind"], unordered["procedure"]) == (FOUND, "")


def test_everything_in_the_list_is_marked_as_invented(rows: list[dict[str, Any]]) -> None:
    """No row can be taken for a patient's."""
    assert all(row["is_synthetic"] for row in rows)
    assert {row["patient"]["family_name"] for row in rows} == {"THỬ NGHIỆM"}


def test_screen_names_address_sign_in_and_what_waits(demo_run: DemoRun, said: str) -> None:
    """Who sits before the terminal needs nothing else to begin."""
    stays = said[said.index("Further cases come in") :]

    assert f"{demo_run.url}/" in stays
    assert "sign in as radiologist; no password is asked here" in stays
    for word in ("STAT", "AI found", "AI did not run", "because: ", "Not meant for this patient", "no order"):
        assert word in stays
    assert httpx.get(f"{demo_run.url}/", trust_env=False).status_code == httpx.codes.OK


def test_quick_starts_commands_look_on(demo_run: DemoRun, said: str, tmp_path: Path) -> None:
    """In another terminal, DIR as the demo's last lines name it: every service ready, every report in its state."""
    [block] = [block for block in blocks(QUICK_START) if "--data DIR" in block.text]

    done = Newcomer(tmp_path, demo_run.offset).types(block.text.replace("DIR", str(demo_run.data)))

    assert (done.returncode, said.count("status --data")) == (0, 1), done.stdout
    assert done.stdout.count(" ready\n") == len(SERVICES)
    assert (done.stdout.count("  drafted  "), done.stdout.count("  final  ")) == (5, 2)


def test_ctrl_c_ends_it_and_leaves_nothing_but_its_messages(demo_run: DemoRun, said: str) -> None:
    """REQ-EXT-10: status 0, standard output one object, data folder and port gone; the messages stay."""
    data, _ = demo_run.data, said
    assert (data.is_dir(), demo_run.is_running) == (True, True)

    status = demo_run.stop()

    assert (status, data.exists(), len(demo_run.printed)) == (0, False, 1), demo_run.said[-2000:]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{demo_run.url}/healthz", trust_env=False)
    assert json.loads(demo_run.printed[0])["signed_by"] == "radiologist"
    assert list(demo_run.out.rglob("*.hl7"))
