"""Soft checks of the 12-digit citizen identifier ("căn cước"): what looks wrong is said to a person, never refused.

Three digits of province (or country of birth), one of century and sex, two of the birth year, six without meaning; no
check digit (Decree 137/2015/NĐ-CP, Art. 13; Circular 07/2016/TT-BCA, Art. 7). Numbers given out before the provinces
were joined in 2025 keep their old code. Pure; the warnings name fields, never their content.
"""

from collections.abc import Iterator

from overread.contracts.events.orders import PatientIdentifier

IDENTIFIER_TYPES = frozenset({"NI", "NNVNM"})
"""National identifier, of Viet Nam where that is not said (table HL70203)."""

_UNUSED = {3, 5, 7, 9, 13, 16, 18, 21, 23, 28, 29, 32, 39, 41, 43, 47} | {
    50,
    53,
    55,
    57,
    59,
    61,
    63,
    65,
    69,
    71,
    73,
    76,
    78,
    81,
    85,
    88,
    90,
}
_PROVINCES = frozenset(range(1, 97)) - _UNUSED
_FIRST_COUNTRY = 100
_FIRST_CENTURY = 1900


def doubts(identifier: PatientIdentifier, *, sex: str, birth_year: int | None) -> Iterator[str]:
    """Yield what in a citizen identifier does not fit its own form, PID-8 or PID-7."""
    number = identifier.id_number
    if identifier.identifier_type_code not in IDENTIFIER_TYPES:
        return
    if not (len(number) == 12 and number.isascii() and number.isdigit()):
        yield "the citizen identifier (PID-3, type NI) has not 12 digits"
        return
    if int(number[:3]) not in _PROVINCES and int(number[:3]) < _FIRST_COUNTRY:
        yield "the citizen identifier begins with the code of no province"
    if sex in ("M", "F") and sex != "MF"[int(number[3]) % 2]:
        yield "the citizen identifier says another sex than PID-8"
    if birth_year is not None and birth_year != _birth_year(number):
        yield "the citizen identifier says another birth year than PID-7"


def _birth_year(number: str) -> int:
    return _FIRST_CENTURY + 100 * (int(number[3]) // 2) + int(number[4:6])
