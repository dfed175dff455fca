"""Words for people in English, Vietnamese and French: sentences, names of segments and fields, meanings of codes."""

from collections.abc import Mapping
from functools import cache

from overread.protocols.hl7 import words_of_acceptance, words_of_components, words_of_explain, words_of_fields
from overread.protocols.hl7.code_tables import meaning
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.words_of_codes import MEANINGS

SENTENCES = {**words_of_explain.SENTENCES, **words_of_acceptance.SENTENCES}
"""Everything that `say` can say."""

Pair = tuple[str, str]
"""Vietnamese and French."""


def say(language: Language, template: str, **values: object) -> str:
    """Say a sentence; KeyError for one that has no row."""
    vietnamese, french = SENTENCES[template]
    chosen = {"en": template, "vi": vietnamese, "fr": french}[language]
    return chosen.format(**values) if values else chosen


def meaning_in(language: Language, table: str, code: str) -> str:
    """Say what a code means; empty where no table of ours holds it."""
    english = meaning(table, code)
    return english if language == "en" or not english else _of(language, MEANINGS[english])


def field_name(language: Language, english: str) -> str:
    """Name a segment or a field; what has no name in the language is quoted in the standard's own English."""
    return _named(language, english, of_fields())


def component_name(language: Language, english: str) -> str:
    """Name a component, or quote the standard."""
    return _named(language, english, of_components())


@cache
def of_fields() -> Mapping[str, Pair]:
    """Return what segments and fields are called."""
    return _rows(words_of_fields.TABLE)


@cache
def of_components() -> Mapping[str, Pair]:
    """Return what components are called."""
    return _rows(words_of_components.TABLE)


def _named(language: Language, english: str, names: Mapping[str, Pair]) -> str:
    plain = english.strip()
    if language == "en" or not plain:
        return plain
    return _of(language, names[plain]) if plain in names else f"“{plain}”"


def _of(language: Language, pair: Pair) -> str:
    return pair[0] if language == "vi" else pair[1]


def _rows(table: str) -> Mapping[str, Pair]:
    rows = (line.split(" | ") for line in table.strip().splitlines())
    return {english: (vietnamese, french) for english, vietnamese, french in rows}
