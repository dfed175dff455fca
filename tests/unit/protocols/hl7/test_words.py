"""Words for people: each in three languages, and none that is said without a row."""

import ast
import string
from pathlib import Path

import pytest

from overread.protocols.hl7 import advice, explain, taken_as, words
from overread.protocols.hl7.code_tables import TABLES
from overread.protocols.hl7.field_names import SEGMENTS, fields_of
from overread.protocols.hl7.message_files import Finding
from overread.protocols.hl7.tokenise import Leniency
from overread.protocols.hl7.words import SENTENCES
from overread.protocols.hl7.words_of_codes import MEANINGS

SPEAKING = (explain, taken_as)
"""Modules all of whose sentences are said by `say`."""

ALL = [*SENTENCES.items(), *MEANINGS.items(), *words.of_fields().items(), *words.of_components().items()]
ALIKE = {
    "Study instance UID",
    "normal",
    "document",
    "Document",
    "Message type",
    "text",
    "date",
    "order",
    "type",
    "messages",
}


def _places(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize(("english", "others"), ALL, ids=[english[:40] for english, _ in ALL])
def test_each_word_has_two_others_with_the_same_places(english: str, others: tuple[str, str]) -> None:
    """REQ-TOOL-10: a place that one language lacks is a value that its readers never see."""
    assert all(text and text == text.strip() for text in others)
    assert [_places(text) for text in others] == [_places(english)] * 2
    assert others[0] != english or english in ALIKE


def test_every_code_of_every_table_has_its_meaning_in_each_language() -> None:
    """Who adds a code to a table adds its words."""
    assert {meaning for table in TABLES.values() for meaning in table.values()} == set(MEANINGS)


def test_every_segment_and_every_leniency_has_its_words() -> None:
    """As above."""
    assert {*SEGMENTS.values()} - set(words.of_fields()) == set()
    assert {*Finding, *advice.LENIENCIES.values(), *Leniency} - set(SENTENCES) == set()


def test_the_fields_that_are_read_have_names_in_each_language() -> None:
    """What else the standard has is quoted by its English name, and so seen to be a name."""
    read = {"MSH": (3, 4, 9, 10, 11, 12, 15, 16, 18), "PID": (3, 5, 7, 8), "MRG": (1,), "ORC": (1, 2, 3, 5, 8, 12)}
    read |= {"OBR": (2, 3, 4, 18, 22, 24, 25, 32), "IPC": (1, 2, 3, 4, 5), "OBX": (2, 3, 4, 5, 6, 8, 11, 14)}
    names = [fields_of(segment, "2.5.1")[number - 1].name for segment, numbers in read.items() for number in numbers]

    assert [name for name in names if words.field_name("vi", name).startswith("“")] == []
    assert words.field_name("fr", "Charge price indicator") == "“Charge price indicator”"


@pytest.mark.parametrize("module", SPEAKING, ids=[module.__name__.rpartition(".")[2] for module in SPEAKING])
def test_no_sentence_is_said_without_a_row(module: object) -> None:
    """Each text of several words in these modules is a row, or a docstring."""
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text("utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documented]
    texts = [node.value for node in constants if isinstance(node.value, str)]
    spoken = {text for text in texts if len(text.split()) > 1 and "%" not in text}

    assert spoken - set(SENTENCES) == set()
