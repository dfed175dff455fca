"""Which fields may be shown to somebody without the right to see patients: a list of what may, never of what may not."""

from collections.abc import Mapping

_ALL = frozenset(range(1, 200))

SHOWN: Mapping[str, frozenset[int]] = {
    # Headers, answers and what is ordered: numbers of orders and studies, codes, times, staff.
    "MSH": _ALL,
    "SFT": _ALL,
    "EVN": _ALL,
    "DSC": _ALL,
    "MSA": frozenset({1, 2, 4}),
    "ERR": frozenset({1, 2, 3, 4, 5}),
    "ORC": _ALL - {14, 16, 22, 23, 24},
    "OBR": _ALL - {13, 17, 31, 39, 46},
    "TQ1": _ALL - {10, 11},
    "IPC": _ALL,
    "ZDS": frozenset({1}),
    "SCH": frozenset({1, 2, 4, 6, 8, 9, 10, 11, 25}),
    "RGS": _ALL,
    "AIS": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10}),
    "AIL": _ALL,
    "AIG": frozenset({1, 2, 8}),
    "TXA": frozenset({1, 2, 3, 4, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19}),
    # Of patients, their visits, kin, insurance and findings: what kind of thing it is, not what it says.
    "PID": frozenset({1}),
    "PV1": frozenset({1, 2, 3, 10, 14, 18}),
    "NK1": frozenset({1, 3}),
    "IN1": frozenset({1}),
    "AL1": frozenset({1, 2}),
    "DG1": frozenset({1, 2, 6}),
    "OBX": frozenset({1, 2, 3, 4, 6, 11, 14, 15, 16, 17, 18, 19}),
    "NTE": frozenset({1, 2}),
    "SPM": frozenset({1, 4}),
}
"""By segment, the fields that hold no patient's data; of a segment that is not here, as every Z segment, nothing."""

_PARTS: Mapping[str, frozenset[int]] = {"CX": frozenset({4, 5, 6})}
"""Components that may be shown of a hidden value: who gave a number, and what kind of number it is."""


def is_shown(segment: str, field: int) -> bool:
    """Whether a field's content may be shown to anybody who looks after the line."""
    return field in SHOWN.get(segment, frozenset())


def is_part_shown(data_type: str, component: int) -> bool:
    """Whether a component may be shown although its field is hidden."""
    return component in _PARTS.get(data_type, frozenset())
