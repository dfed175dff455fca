"""The sentence of an error in the language of those who read it, and its key for those who act on it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from overread.protocols.hl7.sentence_table import SENTENCES, Sentence

Language = Literal["en", "vi", "fr"]

_PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")

_PLAIN: Mapping[str, Sentence] = {sentence.en: sentence for sentence in SENTENCES if "{" not in sentence.en}


def _pattern(english: str) -> "re.Pattern[str]":
    """Return what matches the sentence whatever stands in its places."""
    return re.compile(_PLACEHOLDER.sub(r"(?P<\1>.+)", re.escape(english)), re.DOTALL)


_VARYING = tuple((_pattern(sentence.en), sentence) for sentence in SENTENCES if "{" in sentence.en)


def key_of(said: str) -> str | None:
    """Return the key of a sentence as it was raised, or None for words that are not ours, as of a driver's error."""
    found = _found(said)
    return found[0].key if found else None


def translate(said: str, language: Language) -> str:
    """Say a sentence that was raised in English in `language`; what is not in the table stays in English."""
    found = _found(said)
    if found is None or language == "en":
        return said
    sentence, values = found
    return (sentence.vi if language == "vi" else sentence.fr).format(**values)


@lru_cache(maxsize=256)
def _found(said: str) -> tuple[Sentence, Mapping[str, str]] | None:
    plain = _PLAIN.get(said)
    if plain:
        return plain, {}
    matches = ((sentence, pattern.fullmatch(said)) for pattern, sentence in _VARYING)
    return next(((sentence, match.groupdict()) for sentence, match in matches if match), None)
