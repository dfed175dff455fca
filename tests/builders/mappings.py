"""Rows of a mapping, as a hospital writes them."""

from typing import Any

from overread.assembly.mapping_rows import Kind, MappingRow


def a_service(code: str = "CTNGUC", **said: Any) -> MappingRow:
    """Return a row for a service: a chest CT of the HIS."""
    known = {"to_code": "RPID16", "to_system": "RADLEX", "vi": "CT ngực", "en": "CT chest", "modality": "CT"}
    return MappingRow(kind=Kind.SERVICE, code=code, **(known | said))


def a_ward(code: str = "KCC", **said: Any) -> MappingRow:
    """Return a row for a ward."""
    return MappingRow(kind=Kind.WARD, code=code, **({"vi": "Khoa Cấp cứu", "department": "Nhà A"} | said))


def a_doctor(code: str = "BS001", **said: Any) -> MappingRow:
    """Return a row for a doctor."""
    return MappingRow(kind=Kind.DOCTOR, code=code, **({"to_code": "000123/CCHN", "vi": "BS. MẪU Một"} | said))


def a_code_system(code: str = "LOINC", **said: Any) -> MappingRow:
    """Return a row for a code system."""
    return MappingRow(kind=Kind.CODE_SYSTEM, code=code, **({"to_system": "LN"} | said))
