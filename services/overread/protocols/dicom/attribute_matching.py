"""Attribute matching of C-FIND: which items fit the keys, and what of an item is answered (PS3.4, C.2.2.2)."""

import fnmatch
import re
import unicodedata
from functools import lru_cache
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from overread.contracts.errors import Malformed

_WITH_WILDCARDS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_RANGES: Final = frozenset({"DA", "TM", "DT"})
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_NO_KEYS: Final = frozenset({_SPECIFIC_CHARACTER_SET, _QUERY_RETRIEVE_LEVEL})


LONGEST_KEY: Final = 1_024
"""Characters: no text that a worklist has is longer (PS3.5, 6.2: LO and each group of a PN have 64)."""


def checked(keys: Dataset) -> Dataset:
    """Return the keys, or raise `Malformed` for one that is longer than any value: as a pattern it would only cost."""
    for key in keys:
        if key.VR == "SQ":
            for item in key.value or []:
                checked(item)
        elif any(len(text) > LONGEST_KEY for text in _values(key)):
            raise Malformed(f"the key ({key.tag.group:04X},{key.tag.element:04X}) is longer than any value")
    return keys


def matches(keys: Dataset, item: Dataset) -> bool:
    """Say whether an item fits every key: an empty key fits all, a sequence's key fits one of its items."""
    return all(_fits(key, item) for key in keys if key.tag not in _NO_KEYS)


def selected(keys: Dataset, item: Dataset) -> Dataset:
    """Return the item's values of the keys, empty where it has none; an empty sequence asks for the whole of it."""
    answer = Dataset()
    for key in keys:
        if key.tag == _SPECIFIC_CHARACTER_SET:
            continue
        found = item.get(key.tag)
        if key.VR == "SQ" and key.value and found is not None and found.VR == "SQ":
            answer.add(DataElement(key.tag, "SQ", [selected(key.value[0], inner) for inner in found.value]))
        elif found is not None:
            answer.add(found)
        elif key.tag == _QUERY_RETRIEVE_LEVEL:
            answer.add(key)
        else:
            answer.add(DataElement(key.tag, key.VR, [] if key.VR == "SQ" else None))
    return answer


def has_unknown_keys(keys: Dataset, item: Dataset) -> bool:
    """Say whether a key that is to match something is none of the item's (PS3.4, C.4.1.1.4: status 0xFF01)."""
    return any(key.tag not in item for key in keys if key.tag not in _NO_KEYS and not _is_universal(key))


def _fits(key: DataElement, item: Dataset) -> bool:
    if _is_universal(key):
        return True
    found = item.get(key.tag)
    if found is None:
        return key.tag not in item  # not one of what is kept: it restricts nothing
    if (key.VR == "SQ") is not (found.VR == "SQ"):
        return False
    if key.VR == "SQ":
        return any(matches(key.value[0], inner) for inner in found.value or [])
    return any(_value_fits(key, value) for value in _values(found))


def _is_universal(key: DataElement) -> bool:
    if key.VR == "SQ":
        return not key.value or all(_is_universal(inner) for inner in key.value[0])
    return all(text in ("", "*") for text in _values(key))


def _value_fits(key: DataElement, value: str) -> bool:
    if key.VR in _RANGES:
        return _in_range(str(key.value).strip(), value, key.VR)
    if key.VR == "UI":
        return value in _values(key)
    wanted = _values(key)
    if key.VR not in _WITH_WILDCARDS:
        return value in wanted
    spelt, asked = (folded(value), map(folded, wanted)) if key.VR == "PN" else (value, iter(wanted))
    return any(_pattern(one).fullmatch(spelt) for one in asked)


def _in_range(asked: str, value: str, vr: str) -> bool:
    """Say whether a date or time lies in `from-to`, either end of which may be open (PS3.4, C.2.2.2.5)."""
    if not value:
        return False
    first, dash, last = asked.partition("-")
    width = 8 if vr == "DA" else 6
    low, high, plain = _digits(first), _digits(last), _digits(value)[:width]
    if not dash:
        return plain.startswith(low) if vr != "DA" else plain == low[:width]
    return (not low or plain >= low.ljust(width, "0")[:width]) and (not high or plain <= high.ljust(width, "9")[:width])


def _digits(text: str) -> str:
    return "".join(letter for letter in text.partition(".")[0] if letter.isdigit())


def _values(element: DataElement) -> list[str]:
    value = element.value
    if value is None or value == "":
        return [""]
    several = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [str(one).strip() for one in several] or [""]


def folded(name: str) -> str:
    """Return a name without case, diacritics and Đ, so that a modality without them still finds it (C.2.2.2.1.1)."""
    plain = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d"))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return bare.rstrip("^ ")


@lru_cache(maxsize=512)
def _pattern(wanted: str) -> re.Pattern[str]:
    """Return what `*` and `?` stand for; fnmatch's patterns don't go back, so a hostile key can't make them run away."""
    return re.compile(fnmatch.translate(wanted.replace("[", "[[]")))
