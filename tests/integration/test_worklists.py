"""A RIS's worklist asked for by C-FIND, with peers that other people wrote: pynetdicom, DCMTK, Orthanc."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from overread.contracts.errors import Unavailable
from overread.order_intake.worklist_query import Worklist, WorklistQuery
from overread.protocols.dicom.modality_worklist import Question
from overread.runtime.tls import server_context
from tests.builders.worklist import NAME, a_worklist_item, a_worklist_link
from tests.fakes.archives import free_port
from tests.fakes.mllp_lines import Authority
from tests.fakes.worklists import Ris, running_orthanc_worklist, running_ris, running_wlmscpfs

WEEK = Question(first_day=date(2026, 11, 20), last_day=date(2026, 11, 26))


def ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(5)


async def ask(ris: Ris, question: Question = WEEK, **changed: Any) -> Worklist:
    query = WorklistQuery(a_worklist_link(port=ris.port, **changed))
    try:
        return await query.ask(question)
    finally:
        query.close()


async def test_a_ris_is_asked_for_the_window_and_its_names_are_read() -> None:
    """REQ-NON-30: (0008,0005) of the answer is what its names are in."""
    question = Question(first_day=date(2026, 11, 20), last_day=date(2026, 11, 26), modality="CT")
    with running_ris([a_worklist_item(1), a_worklist_item(2)]) as ris:
        worklist = await ask(ris, question)

    assert [item.patient_name for item in worklist.items] == [NAME, NAME]
    assert worklist.is_complete
    step = ris.asked[0].ScheduledProcedureStepSequence[0]
    assert (step.ScheduledProcedureStepStartDate, step.Modality) == ("20261120-20261126", "CT")
    assert ris.asked[0].SpecificCharacterSet == "ISO_IR 192"


async def test_dcmtks_worklist_server_is_understood(tmp_path: Path) -> None:
    """REQ-NON-34: a real peer; it matches the window itself, and leaves out what lies outside."""
    items = [a_worklist_item(1), a_worklist_item(2, step={"ScheduledProcedureStepStartDate": "20261201"})]
    with running_wlmscpfs(tmp_path, items) as ris:
        worklist = await ask(ris)

    assert [(item.accession_number, item.patient_name) for item in worklist.items] == [("RIS00001", NAME)]
    assert worklist.items[0].requested_procedure_code is not None


async def test_orthancs_worklist_is_understood(tmp_path: Path) -> None:
    """REQ-NON-34: another real peer."""
    with running_orthanc_worklist(tmp_path, [a_worklist_item(1)]) as ris:
        worklist = await ask(ris)

    assert [(item.accession_number, item.patient_name) for item in worklist.items] == [("RIS00001", NAME)]


async def test_an_answer_without_end_is_cancelled() -> None:
    """REQ-NON-35: C-CANCEL (PS3.7, 9.3.2.3), and what came so far is used."""
    cancelled = threading.Event()

    def endless(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(1, 100_000):
            if event.is_cancelled:
                cancelled.set()
                yield 0xFE00, None
                return
            yield 0xFF00, a_worklist_item(number)

    with running_ris(answer=endless) as ris:
        worklist = await ask(ris, maximum_items=5)

    assert len(worklist.items) == 5
    assert not worklist.is_complete
    assert cancelled.wait(5)


async def test_who_does_not_hear_a_cancel_is_left() -> None:
    """REQ-NON-35: the association is aborted; nothing is read without bound."""
    left = threading.Event()

    def deaf(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        try:
            while event.assoc.is_established:
                yield 0xFF00, a_worklist_item()
        finally:
            left.set()

    with running_ris(answer=deaf) as ris:
        worklist = await ask(ris, maximum_items=5)
        was_left = left.wait(5)

    assert (len(worklist.items), worklist.is_complete) == (5, False)
    assert was_left


async def test_a_ris_that_says_nothing_is_given_up_in_time() -> None:
    """REQ-NON-35: no answer in time is `Unavailable`, and the round is tried again later."""
    silent = threading.Event()

    def slow(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        silent.wait(10)
        yield 0x0000, None

    with running_ris(answer=slow) as ris:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            await ask(ris, answer_seconds=0.5)
        waited = time.monotonic() - begun
        silent.set()

    assert waited < 5


async def test_items_that_trickle_end_with_the_questions_time() -> None:
    """REQ-NON-35: each item comes in time, and all together do not."""
    ended = threading.Event()

    def trickle(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        while not (event.is_cancelled or ended.wait(0.1)):
            yield 0xFF00, a_worklist_item()
        yield 0xFE00, None

    with running_ris(answer=trickle) as ris:
        worklist = await ask(ris, question_seconds=0.5)
        ended.set()

    assert worklist.items
    assert not worklist.is_complete


async def test_an_abort_in_the_middle_is_told() -> None:
    """REQ-NON-35: what came before it is not taken for all that there is."""

    def aborts(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, a_worklist_item()
        event.assoc.abort()
        yield 0x0000, None

    with running_ris(answer=aborts) as ris, pytest.raises(Unavailable):
        await ask(ris, answer_seconds=1)


async def test_a_refusal_is_told_with_its_status() -> None:
    def refuses(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xA700, None

    with running_ris(answer=refuses) as ris, pytest.raises(Unavailable, match="0xA700"):
        await ask(ris)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"called_ae_title": "OTHER"}, "Called AE title"), ({"calling_ae_title": "OTHER"}, "Calling AE title")],
)
async def test_a_rejected_association_is_told_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with running_ris() as ris, pytest.raises(Unavailable, match=f"(?i){reason}"):
        await ask(ris, **changed)


async def test_nobody_there_is_told() -> None:
    with pytest.raises(Unavailable, match="no association"):
        await ask(Ris(port=free_port()), connect_seconds=1)


async def test_a_ris_is_asked_over_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    """BCP 195: a RIS whose certificate is another authority's is not told who is asked for."""
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    server, client = authority.issue("ris"), authority.issue("overread")
    told: dict[str, Any] = {"host": "localhost", "uses_tls": True, "certificate_file": client[0], "key_file": client[1]}
    with running_ris([a_worklist_item()], tls=server_context(*server, authority.root)) as ris:
        worklist = await ask(ris, ca_file=authority.root, **told)
        with pytest.raises(Unavailable):
            await ask(ris, ca_file=other.root, **told)

    assert [item.accession_number for item in worklist.items] == ["RIS00001"]
    assert len(ris.asked) == 1


async def test_a_service_that_stops_does_not_wait_for_a_ris() -> None:
    """REQ-NON-35: a question under way ends with the service."""
    asked, silent = threading.Event(), threading.Event()

    def slow(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.set()
        silent.wait(20)
        yield 0x0000, None

    with running_ris(answer=slow) as ris:
        query = WorklistQuery(a_worklist_link(port=ris.port, answer_seconds=60))
        asking = asyncio.ensure_future(query.ask(WEEK))
        await asyncio.to_thread(asked.wait, 5)
        begun = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("worklist-")]
        await asyncio.to_thread(ended, threads)
        waited = time.monotonic() - begun
        silent.set()

    assert waited < 5
    assert not any(thread.is_alive() for thread in threads)
