"""docs/orders.md: what it types is typed, against a whole stack, and the orders leave as results under their own numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from overread.embedded.kafka_admin import FIRST_OUTSIDERS
from overread.embedded.places import CHECKOUT
from overread.embedded.profile import HTTP_PORT
from tests.e2e.documents import needed_tools
from tests.e2e.hospital import Hospital, Visit, assert_gone_once, first_password
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

_PAGE = (CHECKOUT / "docs" / "orders.md").read_text(encoding="utf-8")
_SECTIONS = ("A machine's token", "JSON", "FHIR", "Kafka")
_TEXT = "".join(part for part in _PAGE.split("\n## ") if part.partition("\n")[0] in _SECTIONS)
_BLOCKS = re.findall(r"^```(sh|python|text)\n(.*?)^```$", _TEXT, re.MULTILINE | re.DOTALL)
_KAFKA_PORT = 19092
_KEPT = 'echo "API=\\"$API\\"; AUTH=\\"$AUTH\\"" > .told'


def test_orders_of_the_page_are_kept_and_leave_as_results(hospital: Hospital, tmp_path: Path) -> None:
    """REQ-NON-09, REQ-NON-11: by JSON, FHIR and Kafka; each answer is what the page says, each final has its number."""
    needed_tools()
    by_json, by_fhir = hospital.admit(), hospital.admit()
    reader = _Reader(hospital, tmp_path, by_json, by_fhir)

    seen = [(said, reader.types(kind, text)) for kind, text, said in _typed()]
    for visit in (by_json, by_fhir):
        hospital.scan(visit)
        hospital.user().sign(visit)

    assert [(said, output) for said, output in seen if said not in output] == []
    finals = [hospital.final(visit) for visit in (by_json, by_fhir)]
    assert [final.field("OBR", 2) for final in finals] == [
        f"{by_json.placer_order_number}^HIS",
        f"{by_fhir.placer_order_number}^https://his.example/orders",
    ]
    assert [final.accession_number for final in finals] == [by_json.accession_number, by_fhir.accession_number]
    for visit in (by_json, by_fhir):
        assert_gone_once(hospital, visit)
    offered = "SELECT count(*) FROM order_numbers WHERE number = $1"
    wait_until(lambda: hospital.count("assembly", offered, f"K{by_json.number}^PACS"), "the order over Kafka", 30)


def _typed() -> list[tuple[str, str, str]]:
    """Return each block that is typed, its language, and what the page says that one sees."""
    typed: list[tuple[str, str, str]] = []
    for kind, text in _BLOCKS:
        if kind == "text":
            language, block, _ = typed.pop()
            typed.append((language, block, text))
        else:
            typed.append((kind, text, ""))
    return typed


class _Reader:
    """Somebody who types the page in a folder, on this stack's ports, about patients of this run."""

    def __init__(self, hospital: Hospital, folder: Path, by_json: Visit, by_fhir: Visit) -> None:
        self._folder = folder
        offset, data = hospital.endpoints.ports.offset, hospital.endpoints.data.root
        (folder / "run").write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -m overread.cli.app "$@"\n')
        (folder / "run").chmod(0o755)
        self._told = {
            **os.environ,
            "OVERREAD_PORT_OFFSET": str(offset),
            "OVERREAD_PASSWORD": first_password(data, "his"),
            "SECRET": hospital.endpoints.kafka_password(*FIRST_OUTSIDERS),
        }
        self._names = {
            "ORD0003": by_json.placer_order_number,
            "ACC0003": by_json.accession_number,
            "BN0003": by_json.patient_id,
            "1.2.826.0.1.3680043.8.498.3": by_json.study_instance_uid,
            "CLINIC-": f"CLINIC-{by_json.number}-",
            "ORD0004": by_fhir.placer_order_number,
            "ACC0004": by_fhir.accession_number,
            "BN0004": by_fhir.patient_id,
            "ORD0005": f"K{by_json.number}",
            "BN0005": f"BN{by_json.number}5",
            "PACS-1": f"PACS-{by_json.number}",
            str(HTTP_PORT): str(HTTP_PORT + offset),
            str(_KAFKA_PORT): str(_KAFKA_PORT + offset),
        }
        self._back = {f"CLINIC-{by_json.number}-": "CLINIC-"}

    def types(self, kind: str, text: str) -> str:
        """Type a block; return what one sees, the names of the page put back."""
        for name, own in self._names.items():
            text = text.replace(name, own)
        told = "if [ -f .told ]; then . ./.told; fi\n"
        command = [sys.executable, "-c", text] if kind == "python" else ["sh", "-ec", f"{told}{text}\n{_KEPT}"]
        done = subprocess.run(
            command, cwd=self._folder, env=self._told, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (text, done.stderr)
        seen = done.stdout.replace("\r", "")
        for own, name in self._back.items():
            seen = seen.replace(own, name)
        return seen
