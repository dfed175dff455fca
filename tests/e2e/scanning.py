"""Looks for words in what came out of a run, however they may be written there."""

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.e2e.hospital import RUN, Visit

SHORTEST = 6
"""A word shorter than this would be found in pixels by chance."""

_UID = re.compile(rb"2\.25\.\d{30,}")


def named_in(places: Mapping[str, bytes], words: Iterable[str]) -> list[str]:
    """Return each word that stands in a place, in whatever spelling."""
    folded = {name: content.lower() for name, content in places.items()}
    return [
        f"{name}: {word}"
        for word in words
        for name in places
        if any(spelling in places[name] or spelling in folded[name] for spelling in spellings(word))
    ]


def studies_in(places: Mapping[str, bytes], visits: Sequence[Visit]) -> list[str]:
    """Return each study of `visits` whose UID, or one that begins with it, stands in a place."""
    uids = {visit.study_instance_uid.encode() for visit in visits}
    return [
        f"{name}: {uid.decode()}"
        for name, content in places.items()
        for uid in sorted(uids.intersection(_UID.findall(content)))
    ]


def number_of_all(visits: Sequence[Visit]) -> str:
    """Return the letters that stand in every number of every visit: finding none of them is finding no number."""
    for visit in visits:
        numbers = (visit.patient_id, visit.accession_number, visit.placer_order_number, visit.known["control_id"])
        assert all(RUN in number for number in numbers), numbers
    return RUN


def spellings(word: str) -> list[bytes]:
    """Return how a word may be written: composed, decomposed, without marks, small, escaped, UTF-16, base64."""
    composed, decomposed = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
    bare = _bare(word)
    texts = {composed, decomposed, bare, composed.lower(), bare.lower()}
    spelt = {text.encode() for text in texts} | {composed.encode("utf-16-le")}
    spelt |= {composed.encode("ascii", "backslashreplace"), composed.encode("unicode_escape")}
    spelt |= {coded for text in texts for coded in _in_base64(text.encode())}
    return sorted(spelling for spelling in spelt if len(spelling) >= SHORTEST)


def _bare(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word).replace("Đ", "D").replace("đ", "d")
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """Return the middle of a word's base64 for each place where it may begin."""
    for shift in range(3):
        coded = base64.b64encode(b"\x00" * shift + raw)
        yield coded[(0, 2, 3)[shift] : -4]
