"""The simulated hospital on real sockets: HIS, LIS and RIS against our intake, an EMR and a PACS that take."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from overread.cli import app
from overread.cli.hospital_messages import FAMILY_NAME, MadeUpPatient
from overread.cli.mllp_line import listening
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.dicom import a_ct_slice
from tests.builders.hl7 import an_omi, an_oru
from tests.fakes.hl7_intake import FakeBroker, an_intake

HOST = "127.0.0.1"


async def typed(*words: str | Path) -> int:
    """Type a command, and return how it ended."""
    return await asyncio.to_thread(app.main, [str(word) for word in words])


async def port_said(capsys: pytest.CaptureFixture[str]) -> int:
    """Return the port on which a receiver says that it listens."""
    said = ""
    async with asyncio.timeout(30):
        while not (found := re.search(r"listening (?:on|as DEMO_PACS on) [^:]+:(\d+)", said)):
            said += capsys.readouterr().err
            await asyncio.sleep(0.01)
    return int(found[1])


@pytest.mark.parametrize(
    ("system", "types"),
    [("his", {"ADT": 4, "OMI": 2, "ORM": 2}), ("lis", {"ORU": 8}), ("ris", {"ORU": 8})],
)
async def test_what_a_simulated_sender_sends_is_taken(system: str, types: dict[str, int]) -> None:
    """REQ-TOOL-06: every message is right, and marked as a test of a made-up patient."""
    broker = FakeBroker()
    intake = an_intake(broker)
    sent: list[bytes] = []

    async def takes(raw: bytes, _connection: int) -> bytes | None:
        sent.append(raw)
        return await intake.begin(raw)

    async with listening(HOST, 0, takes) as port:
        status = await typed("simulate", system, "--to", f"{HOST}:{port}", "--count", "8", "--rate", "1000")

    messages = [tokenise(raw) for raw in sent]
    assert (status, len(broker.records)) == (0, 8)
    assert Counter(message.header.message_code for message in messages) == types
    assert {message.header.processing_id for message in messages} == {"T"}
    assert {segment.text(5) for message in messages for segment in message.segments("PID")} == {FAMILY_NAME}


async def test_the_patients_of_the_systems_are_the_same() -> None:
    """Patient 1 of the LIS is patient 1 of the HIS: its laboratory results stand beside its images."""
    assert MadeUpPatient(1).pid == MadeUpPatient(1).pid
    assert len({MadeUpPatient(number).citizen_number for number in range(200)}) == 200


async def test_a_simulator_ends_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    """`--seconds` bounds it."""
    intake = an_intake(FakeBroker())

    async def takes(raw: bytes, _connection: int) -> bytes | None:
        return await intake.begin(raw)

    async with listening(HOST, 0, takes) as port, asyncio.timeout(20):
        status = await typed("simulate", "lis", "--to", f"{HOST}:{port}", "--seconds", "0.3", "--rate", "20")

    assert (status, " taken" in capsys.readouterr().out) == (0, True)


def test_messages_are_printed_where_nothing_is_to_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """A sample to look at."""
    status = app.main(["simulate", "his", "--print", "--count", "2"])

    assert (status, capsys.readouterr().out.count("MSH|")) == (0, 2)


def test_a_sender_without_an_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with what to do next."""
    status = app.main(["simulate", "his"])

    assert (status, "name the listener by --to" in capsys.readouterr().err) == (1, True)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("AA", 0, "AA: taken"),
        ("AE", 1, "AE: refused"),
        ("AR", 1, "AR: refused"),
        ("none", 1, "closed the line instead of answering"),
    ],
)
async def test_an_emr_answers_as_it_is_told_to(
    answer: str, status: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-06: a delivery's policy for each answer can be tried without an EMR; it prints no patient."""
    file = tmp_path / "result.hl7"
    file.write_bytes(an_oru("F"))
    emr = asyncio.create_task(
        typed("simulate", "emr", "--port", "0", "--answer", answer, "--limit", "1", "--seconds", "20")
    )
    to = f"{HOST}:{await port_said(capsys)}"
    ended = await typed("hl7", "send", file, "--to", to, "--wait", "0.5")
    await asyncio.wait_for(emr, 10)

    said, complaint = capsys.readouterr()
    assert (ended, words in said + complaint) == (status, True)
    assert "OBR-25 F (final results, stored and verified), accession ACC26112200123, 6 observations" in said
    assert "NGHIỆM" not in said


async def test_an_emr_keeps_what_came_and_shows_patients_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte, under its time."""
    file = tmp_path / "order.hl7"
    file.write_bytes(an_omi())
    words = ("--port", "0", "--limit", "1", "--seconds", "20", "--into", tmp_path / "got", "--show-patient")
    emr = asyncio.create_task(typed("simulate", "emr", *words))
    await typed("hl7", "send", file, "--to", f"{HOST}:{await port_said(capsys)}")
    await asyncio.wait_for(emr, 10)

    assert [path.read_bytes() for path in (tmp_path / "got").iterdir()] == [an_omi()]
    assert "NGHIỆM" in capsys.readouterr().out


async def test_a_pacs_takes_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what came without its patient."""
    pacs = asyncio.create_task(
        typed("simulate", "pacs", "--port", "0", "--into", tmp_path / "pacs", "--limit", "1", "--seconds", "20")
    )
    port = await port_said(capsys)
    image = a_ct_slice()
    status = await asyncio.to_thread(_store, port, image)
    await asyncio.wait_for(pacs, 20)

    said = capsys.readouterr().out
    assert (status, f"CT  study {image.StudyInstanceUID}" in said) == (0, True)
    assert str(image.PatientName) not in said


def _store(port: int, image: Dataset) -> int | None:
    """Send an object by C-STORE; return the status."""
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scanner = AE(ae_title="CT01")
    scanner.add_requested_context(image.SOPClassUID, ExplicitVRLittleEndian)
    association = scanner.associate(HOST, port, ae_title="DEMO_PACS")
    status = association.send_c_store(image).get("Status")
    association.release()
    return None if status is None else int(status)
