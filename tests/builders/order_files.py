"""Folders of orders: a link that reads them, and files as a HIS drops them. Everybody in them is made up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overread.order_intake.folder_settings import FolderLink

COLUMNS: Mapping[str, str] = {
    "patient_id": "MaBN",
    "citizen_number": "CCCD",
    "patient_name": "HoTen",
    "birth_date": "NgaySinh",
    "sex": "GioiTinh",
    "placer_order_number": "SoPhieu",
    "accession_number": "SoPhieu",
    "service_code": "MaDV",
    "service_text": "TenDV",
    "scheduled_at": "HenLuc",
    "action": "TrangThai",
    "priority": "UuTien",
    "clinical_information": "ChanDoan",
}
HEADER = "SoPhieu;MaBN;CCCD;HoTen;NgaySinh;GioiTinh;MaDV;TenDV;HenLuc;TrangThai;UuTien;ChanDoan"
ROW: Mapping[str, str] = {
    "SoPhieu": "CD001",
    "MaBN": "BN999001",
    "CCCD": "999199000001",
    "HoTen": "THỬ NGHIỆM VĂN AN",
    "NgaySinh": "12/05/1999",
    "GioiTinh": "Nam",
    "MaDV": "XQ01",
    "TenDV": "X-quang ngực thẳng",
    "HenLuc": "26/11/2026 09:30",
    "TrangThai": "",
    "UuTien": "Cấp cứu",
    "ChanDoan": "ho kéo dài",
}


def a_folder_link(folder: Path, **changed: Any) -> FolderLink:
    """Return a link of semicolon-separated files, without any wait for a file to settle."""
    settings: dict[str, Any] = {
        "link_id": "his-csv",
        "folder": folder,
        "separator": ";",
        "columns": COLUMNS,
        "codes": {"actions": {"Hủy": "cancel", "Mới": "new"}},
        "assigning_authority": "BVX",
        "placer_namespace": "HIS",
        "service_coding_system": "99HIS",
        "modality": "DX",
        "settle_seconds": 0,
        **changed,
    }
    return FolderLink.model_validate(settings)


def a_row(**changed: str) -> str:
    """Return one line of the file; a name is a column's."""
    return ";".join({**ROW, **changed}.values())


def a_file(*rows: str, header: str = HEADER) -> bytes:
    """Return a whole file in UTF-8."""
    return "".join(f"{line}\r\n" for line in (header, *rows)).encode()
