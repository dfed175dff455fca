"""Text for peers that know no diacritics (PS3.3, C.12.1.1.2: the default repertoire, ISO-IR 6)."""

import unicodedata
from typing import Final

from pydicom.dataset import Dataset

_TEXTS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_NO_DECOMPOSITION: Final = str.maketrans({"Đ": "D", "đ": "d", "Ø": "O", "ø": "o", "ß": "ss", "Œ": "OE", "œ": "oe"})


def fold_to_ascii(data_set: Dataset) -> None:
    """Write every text of a data set without diacritics; what has no ASCII letter becomes a question mark."""
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                fold_to_ascii(item)
        elif element.VR in _TEXTS and element.value:
            element.value = _ascii(str(element.value))
    if "SpecificCharacterSet" in data_set:
        del data_set.SpecificCharacterSet


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.translate(_NO_DECOMPOSITION))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode("ascii")
