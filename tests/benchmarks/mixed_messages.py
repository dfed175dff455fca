"""A hospital's HL7 day as a stream of any length: orders through their life, patients, results, appointments, merges.

Message `number` is always the same; as many as there are kinds tell one examination of a patient of their own.
"""

from collections.abc import Callable

KINDS: tuple[str, ...] = (
    "ADT^A04",
    "ORM^O01 NW",
    "SIU^S12",
    "ORM^O01 XO",
    "ORM^O01 HD",
    "ORM^O01 RL",
    "ORU^R01 LIS",
    "ADT^A08",
    "OMI^O23 NW",
    "ORM^O01 SC",
    "ORU^R01 RIS",
    "ADT^A40",
    "OMI^O23 CA",
    "ORM^O01 DC",
)
"""What message `number` is: the kinds in turn."""


def a_message(number: int, run: str) -> tuple[str, bytes]:
    """Return the control ID of message `number` of a run, and the message."""
    exam, kind = divmod(number, len(KINDS))
    control_id = f"{run}{number:08d}"
    return control_id, _WRITERS[kind](control_id, exam).encode()


def _lines(sender: str, code: str, control_id: str, exam: int, *lines: str) -> str:
    msh = f"MSH|^~\\&|{sender}|BVX|OVERREAD|BVX|{_at(exam)}||{code}|{control_id}|P|2.5.1|||||VNM|UNICODE UTF-8"
    return "\r".join((msh, *lines, ""))


def _at(exam: int) -> str:
    return f"20261122{exam // 3600 % 24:02d}{exam // 60 % 60:02d}{exam % 60:02d}+0700"


def _pid(exam: int, name: str = "NGUYỄN VĂN") -> str:
    numbers = f"BN{exam:08d}^^^BVX^MR~{exam:012d}^^^VNBCA^NI"
    return f"PID|1||{numbers}||THỬ NGHIỆM^{name}^^^^^L||19700101|M"


def _admission(control_id: str, exam: int) -> str:
    return _lines(
        "HIS", "ADT^A04^ADT_A01", control_id, exam, f"EVN|A04|{_at(exam)}", _pid(exam), "PV1|1|E|KHOA CC^^^BVX"
    )


def _correction(control_id: str, exam: int) -> str:
    pid = _pid(exam, "NGUYỄN VĂN ANH")
    return _lines("HIS", "ADT^A08^ADT_A01", control_id, exam, f"EVN|A08|{_at(exam)}", pid, "PV1|1|E|KHOA CC^^^BVX")


def _merge(control_id: str, exam: int) -> str:
    evn, mrg = f"EVN|A40|{_at(exam)}", f"MRG|TAM{exam:08d}^^^BVX^MR"
    return _lines("HIS", "ADT^A40^ADT_A39", control_id, exam, evn, _pid(exam), mrg)


def _orm(control: str) -> Callable[[str, int], str]:
    def write(control_id: str, exam: int) -> str:
        orc = f"ORC|{control}|A{exam:08d}^HIS|||||^^^{_at(exam)}^^R||{_at(exam)}|||BS001^MẪU^BÁC SĨ"
        obr = f"OBR|1|A{exam:08d}^HIS||36643-5^XR Chest 2 Views^LN|||||||||ho khan, sốt|||||ACA{exam:08d}||||||CR"
        return _lines("HIS", "ORM^O01^ORM_O01", control_id, exam, _pid(exam), "PV1|1|I|KHOA^101^1", orc, obr)

    return write


def _omi(control: str) -> Callable[[str, int], str]:
    def write(control_id: str, exam: int) -> str:
        study = f"1.2.826.0.1.3680043.10.1338.9.{exam + 1}"
        lines = (
            _pid(exam),
            f"ORC|{control}|B{exam:08d}^HIS|||||||{_at(exam)}|||BS001^MẪU^BÁC SĨ",
            f"TQ1|1||||||{_at(exam)}||S",
            f"OBR|1|B{exam:08d}^HIS||24627-2^CT Chest^LN|||||||||khó thở",
            f"IPC|ACB{exam:08d}^RIS|RP{exam:08d}^RIS|{study}^^{study}^ISO|SPS{exam:08d}^RIS|CT",
        )
        return _lines("HIS", "OMI^O23^OMI_O23", control_id, exam, *lines)

    return write


def _laboratory(control_id: str, exam: int) -> str:
    obr = f"OBR|1||L{exam:08d}|CHEM^Sinh hoá^L|||{_at(exam)}|||||||||||||||{_at(exam)}||LAB|F"
    obx = (
        "OBX|1|NM|14682-9^Creatinine^LN|1|126|umol/L|49-92|H|||F",
        "OBX|2|NM|48065-7^D-dimer^LN|1|900|ug/L|<500|H|||F",
    )
    return _lines("LIS", "ORU^R01^ORU_R01", control_id, exam, _pid(exam), obr, *obx)


def _reader(control_id: str, exam: int) -> str:
    obr = f"OBR|1|A{exam:08d}^HIS|R{exam:08d}^RIS|36643-5^XR Chest 2 Views^LN|||{_at(exam)}|||||||||||ACA{exam:08d}||||"
    obx = "OBX|1|TX|59776-5^Procedure findings^LN|1|Phổi hai bên sáng đều.||||||F"
    return _lines("RIS", "ORU^R01^ORU_R01", control_id, exam, _pid(exam), f"{obr}{_at(exam)}||RAD|F", obx)


def _appointment(control_id: str, exam: int) -> str:
    sch = f"SCH||APP{exam:08d}^SCHED||||ROUTINE^Routine^L{'|' * 20}A{exam:08d}^HIS"
    return _lines(
        "SCHED", "SIU^S12^SIU_S12", control_id, exam, sch, _pid(exam), "RGS|1|A", f"AIS|1|A|CT^CT^L|{_at(exam)}"
    )


_WRITERS: tuple[Callable[[str, int], str], ...] = (
    _admission,
    _orm("NW"),
    _appointment,
    _orm("XO"),
    _orm("HD"),
    _orm("RL"),
    _laboratory,
    _correction,
    _omi("NW"),
    _orm("SC"),
    _reader,
    _merge,
    _omi("CA"),
    _orm("DC"),
)
