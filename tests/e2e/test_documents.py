"""Every command of README, quick start and *Connect your first HIS, PACS and EMR*, typed as a newcomer would.

One stack for all of it, started as *Connect* starts it. The blocks stand in their order; the README's study, which has
numbers of its own, is sent and signed on the same stack.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from overread.delivery import destinations
from tests.e2e.documents import (
    CONNECT,
    QUICK_START,
    README,
    Block,
    Newcomer,
    blocks,
    needed_tools,
    offset_for_documents,
)
from tests.e2e.hospital import FIRST_OFFSET, first_password

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

NOT_TYPED: Mapping[str, str] = {
    "README: ./run demo": "a demo is a stack of its own, and the tests are this run: test_demo.py judges the demo",
    "README: ./run up --data data --emr mllp://127.0.0.1:2580": "Connect's start is the same with two receivers more",
    "quick-start: ./run demo": "the same demo, judged by test_demo.py",
    "quick-start: ./run demo --keep": "test_demo_keep.py starts it so, and types the commands that look on",
    "quick-start: ./run overread status --data DIR": "typed by test_demo_keep.py, beside the demo that stays",
    "quick-start: ./run demo --study FOLDER": "another whole demo; how it reads a folder: unit/cli/test_own_study.py",
}
"""Blocks that this file does not type, by their first line, and why."""

STAYING = ("connect-his-pacs-emr: .venv/bin/python emr.py", "connect-his-pacs-emr: ./run up")
"""Blocks whose commands stay in a terminal of their own; the fixture types them."""

SEES: Mapping[str, tuple[str, ...]] = {
    "connect-his-pacs-emr: ./run overread status": ("hl7_intake        ready", "dicomweb          ready"),
    "connect-his-pacs-emr: cat > order.hl7": ("MSA|CA|HIS0001",),
    "connect-his-pacs-emr: echoscu": ("Received Echo Response (Success)",),
    "connect-his-pacs-emr: .venv/bin/python - ": (),
    "connect-his-pacs-emr: TCP_NODELAY=1 dcmsend": ("Received C-STORE Response (Success)", "with status SUCCESS  : 72"),
    "connect-his-pacs-emr: ./run overread reports": ("drafted",),
    "connect-his-pacs-emr: FHIR=": ('"status": "partial"',),
    "connect-his-pacs-emr: API=": ('"signed"',),
    "connect-his-pacs-emr: curl": ('"status": "final"', '"resultsInterpreter"', '"Lung volume by CT"'),
    "connect-his-pacs-emr: ls pacs": ("UNVERIFIED", "VERIFIED", "BÁC SĨ", "Predecessor"),
    "README: cat > order.hl7": ("MSA|CA|HIS0002",),
    "README: TCP_NODELAY=1 dcmsend": ("with status SUCCESS  : 72",),
    "README: API=": ('"state": "drafted"',),
    "README: ID=": ('"Lung volume by CT"', '"signed"'),
}
"""What the document says one will see, by the beginning of the block's first line."""

SETTLE_SECONDS = 30.0
"""How long a newcomer looks again: a study is complete after a quiet time, a result arrives a moment later."""


def typed() -> list[Block]:
    """Return the blocks in the order in which they are typed; the README's study is sent while the first one is read."""
    of = {
        document: [block for block in blocks(document) if not _is_named(block, (*NOT_TYPED, *STAYING))]
        for document in (README, QUICK_START, CONNECT)
    }
    phantom = next(block for block in of[CONNECT] if "make_phantom" in block.text)
    sent = next(number for number, block in enumerate(of[CONNECT]) if "dcmsend" in block.text) + 1
    at = next(number for number, block in enumerate(of[README]) if "dcmsend" in block.text)
    order, images = of[README][:at], of[README][at:]
    return [*of[CONNECT][:sent], *order, _of_the_readme(phantom), images[0], *of[CONNECT][sent:], *images[1:]]


def _is_named(block: Block, beginnings: tuple[str, ...]) -> bool:
    return str(block).startswith(beginnings)


def _of_the_readme(phantom: Block) -> Block:
    """Return images that answer the README's order: the same phantom under its numbers."""
    return replace(
        phantom, text=phantom.text.replace("0001", "0002").replace(".498.1", ".498.2").replace("images", "DIR")
    )


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Yield somebody who has started a hospital of their own and the stack, each in its terminal."""
    needed_tools()
    folder = tmp_path_factory.mktemp("newcomer")
    reader = Newcomer(folder, offset_for_documents(FIRST_OFFSET + 4_000 + os.getpid() % 20 * 20))
    try:
        _start(reader)
        reader.password = first_password(folder / "data", "radiologist")
        yield reader
    finally:
        reader.leaves()


def _start(reader: Newcomer) -> None:
    emr = next(blocks(CONNECT, "python"))
    (reader.folder / "emr.py").write_text(reader.on_own_ports(emr.text), encoding="utf-8")
    peers, up = (block for block in blocks(CONNECT) if _is_named(block, STAYING))
    for line in peers.text.splitlines():
        reader.leaves_running(line)
    reader.waits_for(2580, 4242, 8090)
    reader.leaves_running(up.text, until="ready")


@pytest.mark.parametrize("block", typed(), ids=str)
def test_command_does_what_the_document_says(newcomer: Newcomer, block: Block) -> None:
    """It ends well, and shows what the text around it promises, at once or a moment later."""
    expected = next(words for beginning, words in SEES.items() if _is_named(block, (beginning,)))
    deadline = time.monotonic() + (SETTLE_SECONDS if _only_asks(block) else 0)

    done = newcomer.types(block.text)
    while _is_missing(done, expected) and time.monotonic() < deadline:
        done = newcomer.types(block.text)

    assert done.returncode == 0, done.stdout
    assert _is_missing(done, expected) == [], done.stdout


def _is_missing(done: subprocess.CompletedProcess[str], expected: tuple[str, ...]) -> list[str]:
    """Return what is not seen: all of it after a failure."""
    return [word for word in expected if done.returncode or word not in done.stdout]


def _only_asks(block: Block) -> bool:
    """Say whether the block changes nothing: what acts is typed once."""
    return not any(word in block.text for word in ("POST", "mllp_send", "dcmsend"))


def test_every_command_is_typed_or_left_out_with_its_reason() -> None:
    """A block that is added later is typed by itself, or the tables say why not; none names a block that is gone."""
    known = [str(block) for document in (README, QUICK_START, CONNECT) for block in blocks(document)]
    done = {str(block) for block in typed()}

    assert [name for name in known if name not in done and not name.startswith((*NOT_TYPED, *STAYING))] == []
    assert [name for name in (*NOT_TYPED, *STAYING, *SEES) if not any(one.startswith(name) for one in known)] == []
    assert [name for name in done if not name.startswith(tuple(SEES))] == []


def test_both_documents_play_the_same_emr() -> None:
    """Its source stands in both; what is typed here is that of one."""
    assert list(blocks(README, "python")) == [replace(next(blocks(CONNECT, "python")), document=README)]


def test_receivers_file_is_what_the_stack_takes() -> None:
    """The example of a destinations file is read without a fault."""
    [example] = blocks(CONNECT, "toml")

    listed = destinations.parse(example.text, site_id="site")

    assert [one.name for one in listed] == ["emr", "portal", "pacs"]
