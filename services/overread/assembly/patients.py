"""Whether an order and a study can be of the same person. Pure; used for matching only, never to change a name."""

import unicodedata

from overread.contracts.events.orders import Patient


def fold(name: str) -> str:
    """Return `name` for comparison only: no diacritics, upper case, words in order of the alphabet.

    Scanners often hold Vietnamese names without diacritics, and put family and given name in another order.
    """
    plain = name.replace("đ", "d").replace("Đ", "D")
    letters = unicodedata.normalize("NFD", plain)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = "".join(letter if letter.isalnum() else " " for letter in bare.upper()).split()
    return " ".join(sorted(words))


def conflict(ordered: Patient, imaged: Patient) -> str | None:
    """Return why the order's patient can't be the study's, None when nothing speaks against it.

    Missing data is no conflict. The reason names the field, never the value.
    """
    if _share_an_identifier(ordered, imaged):
        return (
            "name and birth date differ"
            if _name_differs(ordered, imaged) and _born_otherwise(ordered, imaged)
            else None
        )
    if _have_comparable_identifiers(ordered, imaged):
        return "patient identifiers differ"
    if _born_otherwise(ordered, imaged):
        return "birth dates differ"
    if _name_differs(ordered, imaged):
        return "names differ"
    return None


def _share_an_identifier(one: Patient, other: Patient) -> bool:
    return bool({i.id_number for i in one.identifiers} & {i.id_number for i in other.identifiers})


def _have_comparable_identifiers(ordered: Patient, imaged: Patient) -> bool:
    """Say whether both have identifiers and neither names another authority than all of the other's."""
    if not ordered.identifiers or not imaged.identifiers:
        return False
    known = {i.assigning_authority for i in ordered.identifiers}
    return any(not i.assigning_authority or i.assigning_authority in known for i in imaged.identifiers)


def _born_otherwise(one: Patient, other: Patient) -> bool:
    return bool(one.birth_date and other.birth_date and one.birth_date != other.birth_date)


def _name_differs(one: Patient, other: Patient) -> bool:
    names = [fold(f"{patient.family_name} {patient.given_name}") for patient in (one, other)]
    return all(names) and names[0] != names[1]
