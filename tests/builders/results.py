"""ORU messages of others: a laboratory, a RIS, a bedside monitor; about the patient and order of `builders.orders`."""

from collections.abc import Sequence

PATIENT = "TEST-0001^^^HIS^PI"
NAME = "THỬ NGHIỆM^NGUYỄN VĂN"
CREATININE = "14682-9^Creatinine^LN"

Obx = Sequence[str]
"""OBX-2 to OBX-6 and on: type, code, sub-ID, value, unit, range, flag."""


def an_obx(code: str = CREATININE, value: str = "126", status: str = "F", **known: str) -> str:
    """Return one observation; `known` are value_type, sub_id, unit, reference_range, flag, at, observer, method."""
    said = {"value_type": "NM", "sub_id": "1", "unit": "umol/L^^UCUM", "reference_range": "49-92", "flag": "H"} | known
    fields = [
        said["value_type"],
        code,
        said["sub_id"],
        value,
        said["unit"],
        said["reference_range"],
        said["flag"],
        "",
        "",
        status,
        "",
        "",
        said.get("at", ""),
        "",
        said.get("observer", ""),
        said.get("method", ""),
    ]
    return f"OBX|1|{'|'.join(fields)}".rstrip("|")


def a_result(*observations: str, minute: int = 0, **known: str) -> bytes:
    """Return an ORU^R01 of a laboratory, sent `minute` minutes after ten; `known` names what differs."""
    at = f"2026112210{minute:02d}00+0700"
    value = {
        "sender": "LIS|TEST",
        "version": "2.5.1",
        "processing_id": "P",
        "patient_id": PATIENT,
        "name": NAME,
        "birth_date": "19700101",
        "placer": "",
        "filler": "LAB-1^LIS",
        "service": "CHEM^Chemistry^L",
        "accession": "",
        "section": "LAB",
        "status": "F",
        "interpreter": "",
        "changed_at": at,
        "control_id": f"LIS{minute}",
    } | known
    msh = f"MSH|^~\\&|{value['sender']}|OVERREAD|TEST|{at}||ORU^R01^ORU_R01|{value['control_id']}"
    obr = f"OBR|1|{value['placer']}|{value['filler']}|{value['service']}|||20261122093000+0700"
    results = f"{value['accession']}||||{value['changed_at']}||{value['section']}|{value['status']}"
    lines = [
        f"{msh}|{value['processing_id']}|{value['version']}||||||UNICODE UTF-8",
        f"PID|1||{value['patient_id']}||{value['name']}||{value['birth_date']}|M",
        "PV1|1|I|ICU^1^2",
        f"{obr}|||||||||||{results}|||||||{value['interpreter']}",
        *(observations or [an_obx()]),
    ]
    return "".join(f"{line}\r" for line in lines).encode()


def a_reader_report(status: str = "F", minute: int = 30, **known: str) -> bytes:
    """Return a reader's report as a RIS sends it: the order's accession number, the reader in OBR-32, text in OBX-5."""
    said = {
        "sender": "RIS|TEST",
        "filler": "TEST-FILLER-1^RIS",
        "placer": "TEST-PLACER-1^HIS",
        "accession": "TEST-ACC-1",
        "service": "CTCHEST^CT ngực^L",
        "section": "RAD",
        "status": status,
        "interpreter": "BS009&MẪU&MINH CHÂU",
        "control_id": f"RIS{minute}",
    }
    text = an_obx(
        "59776-5^Procedure findings^LN", "Phổi hai bên sáng đều.", status, value_type="TX", unit="", reference_range=""
    )
    return a_result(text, minute=minute, **(said | known))


def a_monitor_reading(value: str = "93", minute: int = 0, **known: str) -> bytes:
    """Return an oxygen saturation as a bedside monitor tells it (IHE PCD-01)."""
    at = f"2026112210{minute:02d}00+0700"
    seen = an_obx(
        "150456^MDC_PULS_OXIM_SAT_O2^MDC", value, "R", sub_id="1.1.1.1", unit="%", reference_range="", flag="", at=at
    )
    said = {"sender": "MONITOR|TEST", "filler": f"M{minute}^MON", "section": "", "status": ""}
    return a_result(seen, minute=minute, **(said | known))


def an_appointment(event: str = "S12", minute: int = 0, **known: str) -> bytes:
    """Return an SIU of a scheduling system, sent `minute` minutes after eight, about the order by its own numbers."""
    value = {
        "placer": "TEST-PLACER-1^HIS",
        "filler": "",
        "appointment": "APP-1^SCHED",
        "starts_at": "20261123090000+0700",
        "patient_id": PATIENT,
    } | known
    at = f"2026112208{minute:02d}00+0700"
    lines = [
        f"MSH|^~\\&|SCHED|TEST|OVERREAD|TEST|{at}||SIU^{event}^SIU_S12|SIU{minute}|P|2.5.1||||||UNICODE UTF-8",
        f"SCH||{value['appointment']}||||ROUTINE^Routine^L{'|' * 20}{value['placer']}|{value['filler']}",
        f"PID|1||{value['patient_id']}||{NAME}||19700101|M",
        "RGS|1|A",
        f"AIS|1|A|CTCHEST^CT ngực^L|{value['starts_at']}",
    ]
    return "".join(f"{line}\r" for line in lines).encode()
