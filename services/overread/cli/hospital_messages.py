"""Messages of a hospital's systems, as the demo and the simulators send them: every patient in them is made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from overread.protocols.hl7.timestamps import write_timestamp

VISIT = "PV1|1|O|KHOA CDHA^^^DEMO||||||||||||||||V0001^^^DEMO^VN"
SERVICES = {"CT": "24627-2^CT Chest^LN", "MR": "24590-2^MR Brain^LN", "DX": "36643-5^XR Chest 2 Views^LN"}

# The marks of a made-up person: the family name, a province that there is not, and MSH-11 T.
FAMILY_NAME = "THỬ NGHIỆM"
_GIVEN_NAMES = (
    ("NGUYỄN VĂN AN", "M"),
    ("TRẦN THỊ BÌNH", "F"),
    ("LÊ QUỐC CƯỜNG", "M"),
    ("PHẠM THỊ DUNG", "F"),
    ("HOÀNG VĂN ĐỨC", "M"),
    ("VŨ THỊ HƯƠNG", "F"),
    ("ĐẶNG MINH KHÔI", "M"),
    ("BÙI THỊ LOAN", "F"),
    ("ĐỖ HỮU NGHĨA", "M"),
    ("NGÔ THỊ PHƯỢNG", "F"),
    ("DƯƠNG VĂN QUÝ", "M"),
    ("LÝ THỊ TUYẾT", "F"),
)
_PROVINCE = "999"


@dataclass(frozen=True, slots=True)
class MadeUpPatient:
    """Patient number N of every simulator, so that what the HIS registers the LIS and the RIS know too."""

    number: int

    @property
    def record_number(self) -> str:
        """The hospital's own number."""
        return f"SIM{self.number:06d}"

    @property
    def _name(self) -> tuple[str, str]:
        return _GIVEN_NAMES[self.number % len(_GIVEN_NAMES)]

    @property
    def _birth_year(self) -> int:
        return 1935 + self.number * 7 % 70

    @property
    def citizen_number(self) -> str:
        """Twelve digits: province, sex and century, year of birth, six more."""
        after_2000 = self._birth_year >= 2000
        return (
            f"{_PROVINCE}{2 * after_2000 + (self._name[1] == 'F')}{self._birth_year % 100:02d}{self.number % 10**6:06d}"
        )

    @property
    def pid(self) -> str:
        """The PID segment: record number, citizen identifier, name, date of birth, sex."""
        given, sex = self._name
        birth_date = f"{self._birth_year}{1 + self.number % 12:02d}{1 + self.number % 28:02d}"
        numbers = f"{self.record_number}^^^DEMO^MR~{self.citizen_number}^^^VNBCA^NI"
        return f"PID|1||{numbers}||{FAMILY_NAME}^{given}^^^^^L||{birth_date}|{sex}"


def omi_o23(
    *,
    number: str,
    now: datetime,
    accession_number: str,
    study_instance_uid: str,
    pid: str,
    modality: str,
    processing_id: str,
    priority: str = "R",
) -> str:
    """Return an imaging order (HL7 v2.5.1, OMI^O23^OMI_O23) as a HIS would send it.

    `processing_id` is MSH-11, `priority` TQ1-9.
    """
    sent = write_timestamp(now)
    service = SERVICES.get(modality, "18748-4^Diagnostic imaging study^LN")
    segments = [
        _msh("HIS", sent, "OMI^O23^OMI_O23", f"HIS{number}", processing_id),
        pid,
        VISIT,
        f"ORC|NW|ORD{number}^HIS|{accession_number}^RIS||||||{sent}|||BS001^TRẦN^THỊ MẪU",
        f"TQ1|1||||||||{priority}",
        f"OBR|1|ORD{number}^HIS|{accession_number}^RIS|{service}||||||||||||||||||||{modality}",
        f"IPC|{accession_number}|RP{number}|{study_instance_uid}|SPS{number}|{modality}",
    ]
    return "\r".join(segments) + "\r"


def pid_of(patient_id: str, authority: str, name: str, birth_date: str, sex: str) -> str:
    """Write a PID with one record number; `name` is DICOM's, family before given."""
    family, _, given = name.partition("^")
    return f"PID|1||{patient_id}^^^{authority}^MR||{family}^{given.replace('^', ' ')}^^^^^L||{birth_date}|{sex}"


def orm_o01(
    *, control_id: str, now: datetime, control: str, number: str, accession_number: str, pid: str, modality: str
) -> str:
    """Return an order as an older HIS sends it (HL7 v2.3.1, ORM^O01): a test, accession number in OBR-18."""
    sent = write_timestamp(now)
    return _message(
        f"MSH|^~\\&|HIS|DEMO|OVERREAD|DEMO|{sent}||ORM^O01|{control_id}|T|2.3.1||||||UNICODE UTF-8",
        pid,
        VISIT,
        f"ORC|{control}|{number}^HIS|||||^^^^^R||{sent}|||BS001^TRẦN^THỊ MẪU",
        f"OBR|1|{number}^HIS||{SERVICES[modality]}||||||||||||||{accession_number}||||||{modality}",
    )


def adt(*, event: str, control_id: str, now: datetime, pid: str) -> str:
    """Return a patient event of one PID, as ADT^A04 or ADT^A08 (HL7 v2.5.1, 3.3)."""
    structure = {"A04": "ADT_A01", "A08": "ADT_A01"}.get(event, f"ADT_{event}")
    sent = write_timestamp(now)
    return _message(_msh("HIS", sent, f"ADT^{event}^{structure}", control_id, "T"), f"EVN||{sent}", pid, VISIT)


def laboratory_oru(*, control_id: str, now: datetime, pid: str, values: Sequence[tuple[str, str, str, str]]) -> str:
    """Return final laboratory results (HL7 v2.5.1, ORU^R01); `values` are code, text, number and unit."""
    sent = write_timestamp(now)
    observations = (
        f"OBX|{number}|NM|{code}^{text}^LN||{value}|{unit}^^UCUM|||||F|||{sent}"
        for number, (code, text, value, unit) in enumerate(values, start=1)
    )
    return _message(
        _msh("LIS", sent, "ORU^R01^ORU_R01", control_id, "T"),
        pid,
        VISIT,
        f"OBR|1|LAB{control_id}^LIS|{control_id}^LIS|24323-8^Comprehensive metabolic panel^LN|||{sent}|||||||||"
        f"||||||{sent}||LAB|F",
        *observations,
    )


def report_oru(*, control_id: str, now: datetime, pid: str, accession_number: str, modality: str, text: str) -> str:
    """Return a radiologist's final report from a RIS (HL7 v2.5.1, ORU^R01), accession number in OBR-18."""
    sent = write_timestamp(now)
    return _message(
        _msh("RIS", sent, "ORU^R01^ORU_R01", control_id, "T"),
        pid,
        VISIT,
        f"OBR|1||{accession_number}^RIS|{SERVICES[modality]}|||{sent}|||||||||BS001^TRẦN^THỊ MẪU||"
        f"{accession_number}||||{sent}||RAD|F|||||||BS009&MẪU&MINH CHÂU",
        f"OBX|1|TX|59776-5^Procedure findings^LN|1|{text}||||||F|||{sent}",
    )


def _msh(application: str, sent: str, message_type: str, control_id: str, processing_id: str) -> str:
    return (
        rf"MSH|^~\&|{application}|DEMO|OVERREAD|DEMO|{sent}||{message_type}|{control_id}|{processing_id}|2.5.1"
        "|||AL|NE|VNM|UNICODE UTF-8"
    )


def _message(*segments: str) -> str:
    return "\r".join(segments) + "\r"
