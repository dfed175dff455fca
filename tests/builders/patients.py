"""ADT messages about the patient of `builders.events`, at any second of one morning."""

from collections.abc import Mapping
from uuid import uuid4

from overread.assembly import patient_taking
from overread.assembly.patient_records import Statement
from overread.contracts.events.orders import PatientIdentifier
from tests.builders.events import an_event, an_hl7_received
from tests.builders.hl7 import HANOI, Places, encoded

MR = "TEST-0001^^^HIS^MR"
OLD = "TEST-0009^^^HIS^MR"
CITIZEN = "001070012345^^^VNBCA^NI"
INSURANCE = "HC4010000000001^^^BHXH^HC"
NAME = "THỬ NGHIỆM^NGUYỄN VĂN"


def an_adt(
    event: str = "A08",
    second: int = 0,
    *,
    without: Places = (),
    put: Mapping[str, str] | None = None,
    **known: str,
) -> bytes:
    """Return an ADT message (2.5.1, original mode) sent `second` seconds after nine; `known` are fields of PID."""
    value = {"patient_id": MR, "name": NAME, "birth_date": "19700101", "sex": "M", "version": "2.5.1"} | known
    structure = {"A40": "ADT_A39"}.get(event, "ADT_A01")
    lines = [
        _msh(event, structure, second, value["version"]),
        f"EVN|{event}|202611220900{second:02d}+0700",
        _pid(value),
        "PV1|1|I|KHOA NOI^^^BVX",
    ]
    return encoded(lines, without, put)


def a_merge(second: int = 0, *groups: tuple[str, str], put: Mapping[str, str] | None = None, name: str = NAME) -> bytes:
    """Return an A40 in which the second number of each group ends in the first; by default `OLD` ends in `MR`."""
    lines = [_msh("A40", "ADT_A39", second, "2.5.1"), f"EVN|A40|202611220900{second:02d}+0700"]
    for surviving, prior in groups or ((MR, OLD),):
        lines += [f"PID|1||{surviving}||{name}^^^^^L", f"MRG|{prior}"]
    return encoded(lines, (), put)


def statements(*raw: bytes) -> list[Statement]:
    """Return what messages, in order of arrival, say."""
    events = [an_event(an_hl7_received(one), own_key=str(uuid4())) for one in raw]
    return [said for event, one in zip(events, raw, strict=True) for said in patient_taking.read(event, one, HANOI)]


def an_identifier(cx: str = MR) -> PatientIdentifier:
    """Return the number that a CX holds."""
    parts = cx.split("^")
    return PatientIdentifier(id_number=parts[0], assigning_authority=parts[3], identifier_type_code=parts[4])


def _msh(event: str, structure: str, second: int, version: str) -> str:
    start = f"MSH|^~\\&|HIS|BVX|OVERREAD|BVX|202611220900{second:02d}+0700||ADT^{event}^{structure}"
    return f"{start}|ADT{event}{second:02d}|P|{version}|||||VNM|UNICODE UTF-8"


def _pid(value: Mapping[str, str]) -> str:
    return f"PID|1||{value['patient_id']}||{value['name']}^^^^^L||{value['birth_date']}|{value['sex']}"
