"""The section of docs/hl7.md about links and messages that were set aside: its commands, typed against a whole stack."""

import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.places import CHECKOUT
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import new_traceparent
from tests.builders.events import an_hl7_received
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

_CHAPTER = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8")
_SECTION = _CHAPTER.partition("\n### How is each link now")[2].partition("\n### ")[0]
_LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", _SECTION, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
_PLACE = "hl7.received.dead/0/0"
SET_ASIDE_SECONDS = 30.0


def test_message_is_mended_by_the_commands_of_the_document(hospital: Hospital, tmp_path: Path) -> None:
    """REQ-MSG-04: what stands beside each command is what one sees; the order appears, a second fix and a replay are refused."""
    visit = hospital.admit()
    control_id = f"DOC-{visit.number}"
    hospital.publish(
        "admin", _unreadable(hospital, an_omi(**{**visit.known, "control_id": control_id}, put={"PID-3": ""}))
    )
    place = wait_until(lambda: _place_of(hospital, control_id), "the dead letter", SET_ASIDE_SECONDS)
    orders = "SELECT count(*) FROM orders WHERE accession_number = $1"

    seen = [_typed(hospital, line, place, tmp_path) for line in _LINES]
    wait_until(lambda: hospital.count("assembly", orders, visit.accession_number), "the order", SET_ASIDE_SECONDS)
    (tmp_path / "other.hl7").write_bytes((tmp_path / "mended.hl7").read_bytes().replace(b"TEST-0001", b"TEST-0002"))
    other = _overread(hospital, f"dead fix --data DIR {place} --file other.hl7 --reason other", tmp_path)

    replayed = _overread(hospital, f"dead replay --data DIR {place}", tmp_path)

    assert [(line, output) for line, expected, output in seen if expected not in output] == []
    assert len(seen) == len(_LINES) > 5
    assert (other.returncode, "stands for this one already" in other.stderr) == (1, True)
    assert (replayed.returncode, f"{place} was mended" in replayed.stderr) == (1, True)
    assert hospital.count("assembly", orders, visit.accession_number) == 1


def _typed(hospital: Hospital, line: str, place: str, folder: Path) -> tuple[str, str, str]:
    """Type one line of the document; return it, what it says one will see, and what one sees, blanks drawn together."""
    command, _, expected = (part.strip() for part in line.partition("  # "))
    if command.startswith("./run overread "):
        done = _overread(hospital, command.removeprefix("./run overread ").replace(_PLACE, place), folder)
    else:
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    ports = str(hospital.mllp_port)
    wanted = " ".join(expected.replace(_PLACE, place).replace("2575", ports).split())
    return command, wanted, " ".join(done.stdout.split())


def _overread(hospital: Hospital, words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    told = [word.replace("DIR", str(hospital.endpoints.data.root)) for word in shlex.split(words)]
    return hospital.overread(*[str(folder / word) if word.endswith(".hl7") else word for word in told])


def _place_of(hospital: Hospital, control_id: str) -> str:
    """Return where the message lies, once it is set aside."""
    aside = "SELECT count(*) FROM messages WHERE message_control_id = $1 AND outcome = 'set_aside'"
    if not hospital.count("assembly", aside, control_id):
        return ""
    listed = hospital.overread("dead", "list", "--data", str(hospital.endpoints.data.root)).stdout
    places = [line.split()[0] for line in listed.splitlines() if "PID-3" in line]
    return places[-1] if places else ""


def _unreadable(hospital: Hospital, raw: bytes) -> Outgoing:
    """Return an order without a patient's number as the topic could hold it: an intake that checked less took it."""
    control_id = raw.split(b"|")[9].decode()
    said = an_hl7_received(
        raw, link_id="default", message_control_id=control_id, fallback_charset="", sending_facility="BVX"
    )
    event = event_of(
        said,
        source="hl7_intake",
        time=datetime.now(UTC),
        subject="default",
        site_id=hospital.endpoints.site_id,
        traceparent=new_traceparent(),
        own_key=control_id,
    )
    return Outgoing(HL7_RECEIVED.name, b"default", codec.encode(event))
