"""A recorded day becomes a mapping to fill in: its codes, and nothing of a patient."""

from pathlib import Path

from overread.assembly import mapping_files
from overread.cli.app import main
from overread.cli.mapping_propose import to_be_filled_in
from tests.builders.orders import an_order

DAY = [
    an_order(0, service="XQ^X-quang ngực^99HIS", put={"PV1-3": "KCC^P1"}),
    an_order(1, service="CT^CT ngực^HISNEW", put={"PV1-3": "NOI^P2", "ORC-12": ""}),
    an_order(2, service="XQ^X-quang ngực^99HIS", put={"PV1-3": "KCC^P9"}),
    b"MSH|^~\\&|HIS|BVX|||||ADT^A08|9|P|2.5.1\rPID|1||TEST-0001||\xff\xfe\r",
    b"no message",
]


def test_codes_of_a_day_stand_in_a_file_the_most_frequent_first() -> None:
    """REQ-MAP-09: as assembly would count them, whatever else was recorded."""
    lines = to_be_filled_in(DAY, link_id="his", fallback_charset="").splitlines()

    assert lines[0].startswith("kind;link;code;system;")
    assert sorted(lines[1:]) == sorted(
        [
            "service;his;XQ;99HIS;;;X-quang ngực;;;;;;",
            "ward;his;KCC;;;;;;;;;;",
            "doctor;his;BS001;;;;MẪU BÁC SĨ;;;;;;",
            "service;his;CT;HISNEW;;;CT ngực;;;;;;",
            "code_system;his;HISNEW;;;;;;;;;;",
            "ward;his;NOI;;;;;;;;;;",
        ]
    )
    assert {line.split(";")[2] for line in lines[1:4]} == {"XQ", "KCC", "BS001"}
    assert "TEST-0001" not in "".join(lines)


def test_command_writes_the_file_beside_its_proposal(tmp_path: Path) -> None:
    """REQ-MAP-09: what a person has filled in is a mapping."""
    day, file = tmp_path / "day.hl7", tmp_path / "codes.csv"
    day.write_bytes(DAY[0])

    assert main(["hl7", "propose", str(day), "--mapping", str(file)]) == 0

    filled_in = file.read_text(encoding="utf-8-sig").replace("KCC;;;;;", "KCC;;;;Khoa Cấp cứu;")
    rows = mapping_files.read(filled_in.encode())
    assert [row.code for row in rows] == ["BS001", "XQ", "KCC"]
