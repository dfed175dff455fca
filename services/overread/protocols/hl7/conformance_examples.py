"""Messages by which the conformance statement is made: of each kind one that says all that is read, and one that is bare."""

from collections.abc import Mapping

_MSH = "MSH|^~\\&|HIS|BVX|OVERREAD|BVX|20261122090000+0700||{type}|C0001|P|{version}|||{modes}|VNM|UNICODE UTF-8"
_PID = "PID|1||BN000123^^^BVX^MR~001099012345^^^VNBCA^NI||THỬ NGHIỆM^NGUYỄN VĂN^^^^^L||19990512|M||||||||||V1^^^BVX"
_PV1 = "PV1|1|I|KHOA NOI^^^BVX||||||||||||||||V0001^^^BVX^VN"
_ORC = "ORC|NW|ORD1^HIS|ACC1^RIS||SC||^^^20261122100000^^R|P1&HIS^P2&RIS|20261122090000|||BS001^MẪU^BÁC SĨ"
_OBR = (
    "OBR|1|ORD1^HIS|ACC1^RIS|24627-2^CT Chest^LN|||20261122093000+0700||||||Ho|||BS001^MẪU^BÁC SĨ||ACC1||||"
    "20261122103000+0700||CT|F||||||R05^Cough^I10|BS009&MẪU&MINH CHÂU"
)


def _message(message_type: str, *segments: str, version: str = "2.5.1", modes: str = "|") -> bytes:
    header = _MSH.format(type=message_type, version=version, modes=modes)
    return "".join(f"{segment}\r" for segment in (header, *segments)).encode()


def _order(message_type: str, version: str) -> tuple[bytes, ...]:
    full = _message(
        message_type,
        _PID,
        _PV1,
        _ORC,
        "TQ1|1||||||20261122100000+0700||R",
        _OBR,
        "ZDS|1.2.826.0.1.3680043.10.1.77^HIS^Application^DICOM",
        "IPC|ACC1|RP1|1.2.826.0.1.3680043.10.1.77|SPS1|CT",
        version=version,
    )
    bare = _message(message_type, "PID|1||BN000123", "ORC|NW|ORD1", "OBR|1|||24627-2", version=version)
    zds = "ZDS|1.2.826.0.1.3680043.10.1.77"
    of_obr = _message(message_type, "PID|1||BN000123", "ORC|NW", "OBR|1|ORD1||24627-2", zds, version=version)
    return full, bare, of_obr


def _result(*observations: str) -> bytes:
    return _message("ORU^R01^ORU_R01", _PID, _PV1, "ORC|RE|ORD1^HIS|ACC1^RIS", _OBR, *observations)


EXAMPLES: Mapping[str, tuple[bytes, ...]] = {
    "OMI": _order("OMI^O23^OMI_O23", "2.5.1"),
    "ORM": _order("ORM^O01", "2.3.1"),
    "OMG": _order("OMG^O19^OMG_O19", "2.5.1"),
    "ADT": (
        _message("ADT^A08^ADT_A01", "EVN|A08|20261122090000+0700", _PID, _PV1),
        _message("ADT^A40^ADT_A39", "EVN|A40|20261122090000+0700", _PID, "MRG|BN000999^^^BVX^MR"),
        _message("ADT^A08^ADT_A01", "EVN|A08|20261122090000+0700", _PID).replace(
            b"|20261122090000+0700||ADT", b"|||ADT"
        ),
    ),
    "ORU": (
        _result(
            "OBX|1|NM|14682-9^Creatinine^LN|1|126|umol/L^^UCUM|49-92|H|||F|||20261122093000+0700||BS009|AI^^99X",
            "OBX|2|ST|113014^DICOM Study^DCM||1.2.3||||||O",
            "OBX|3|TX|59776-5^Procedure findings^LN|1|Phổi sáng||||||F",
        ),
        _message(
            "ORU^R01^ORU_R01",
            "PID|1||BN000123",
            "ORC|RE|ORD1|ACC1",
            "OBR|1|||CHEM|||||||||||||||||||||F",
            "PRT|1|AD||PI^Primary Interpreter^HL70912|BS009^MẪU",
            "OBX|1|NM|14682-9^^LN||126",
        ),
    ),
    "SIU": (
        _message(
            "SIU^S12^SIU_S12",
            "SCH|APP1^HIS|APP2^SCHED||||ROUTINE|||||^^^20261122090000|||||||||||||||ORD1^HIS|ACC1^RIS",
            _PID,
            "RGS|1|A",
            "AIS|1|A|24627-2^CT Chest^LN|20261122090000+0700",
        ),
        _message("SIU^S12^SIU_S12", "SCH|APP1^HIS|APP2^SCHED", "PID|1||BN000123", "TQ1|1||||||20261122", "AIL|1|A|CT1"),
    ),
}
"""By message code, synthetic."""
