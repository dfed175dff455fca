"""What we tell a sender: every sentence has a key and three languages, and none is raised that has not."""

import string
from pathlib import Path

import pytest

from overread.protocols.hl7 import sentences
from overread.protocols.hl7.sentence_table import SENTENCES, Sentence
from overread.protocols.hl7.sentences import Language, key_of, translate
from tests.unit.protocols.hl7.raised import sentences_in

SERVICES = Path(sentences.__file__).parents[2]
RAISING = sorted(
    path
    for folder in ("protocols/hl7", "hl7_intake")
    for path in (SERVICES / folder).glob("*.py")
    if "HL7Error" in path.read_text("utf-8")
)
MOST_CHARACTERS = 250
"""What ERR-8 may hold (HL7 v2.5.1, 2.15.5.8)."""


def _places(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("sentence", SENTENCES, ids=[sentence.key for sentence in SENTENCES])
def test_every_sentence_is_said_in_three_languages(sentence: Sentence) -> None:
    """Each says the same of the same; only the English reason for those who look after the server may be left out."""
    said = (sentence.en, sentence.vi, sentence.fr)
    places = [_places(text) for text in said]

    assert all(0 < len(text) <= MOST_CHARACTERS and text == text.strip() for text in said)
    assert len(set(said)) == 3
    assert places[1] == places[2] == places[0] - {"reason"}


def test_keys_and_sentences_are_unique() -> None:
    """A key is what a sender's software may act on."""
    assert len({sentence.key for sentence in SENTENCES}) == len(SENTENCES)
    assert len({sentence.en for sentence in SENTENCES}) == len(SENTENCES)
    assert all(set(sentence.key) <= {*string.ascii_lowercase, *string.digits, "-"} for sentence in SENTENCES)


@pytest.mark.parametrize("path", RAISING, ids=[f"{path.parent.name}/{path.name}" for path in RAISING])
def test_no_sentence_is_raised_outside_the_table(path: Path) -> None:
    """Who raises a new sentence adds its row to `sentence_table`."""
    missing = [said for said in sentences_in(path) if key_of(said) is None]

    assert missing == []


def test_the_sentences_are_found_in_the_code() -> None:
    """Without this the test above would hold of a search that finds nothing; each row is one that is raised."""
    raised = {key_of(said) for path in RAISING for said in sentences_in(path)}

    assert raised == {sentence.key for sentence in SENTENCES}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "This order control code is not taken; taken are NW, CA."),
        ("vi", "Mã điều khiển chỉ định (ORC-1) này không được nhận; được nhận: NW, CA."),
        ("fr", "Ce code de contrôle (ORC-1) n'est pas accepté ; acceptés : NW, CA."),
    ],
)
def test_what_varies_is_carried_over(language: Language, said: str) -> None:
    """The values stand where the other language wants them."""
    raised = "This order control code is not taken; taken are NW, CA."

    assert translate(raised, language) == said
    assert key_of(raised) == "order-control-not-taken"


def test_words_that_are_not_ours_stay_as_they_are() -> None:
    """Better in English than lost."""
    assert translate("the broker does not answer", "vi") == "the broker does not answer"
    assert key_of("the broker does not answer") is None
