"""The page speaks Vietnamese, English and French, and says the same in each."""

import json
import re
import unicodedata
from functools import cache

import pytest

from overread.embedded.places import CHECKOUT

SOURCES = CHECKOUT / "web" / "src"
LANGUAGES = ("vi", "en", "fr")
# Words whose name is made of what the API answers: `tOf("state", row.status)`.
MADE_OF_ANSWERS = re.compile(r'tOf\(\s*"([\w.]+)"')
MADE_IN_PLACE = re.compile(r"`([a-z_]+)\.\$\{")
NAMED_IN_FULL = re.compile(r'"([a-z_]+(?:\.[A-Za-z_0-9]+)*)"')
VIETNAMESE = re.compile(r"[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)


@cache
def _words(language: str) -> dict[str, str]:
    return dict(json.loads((SOURCES / "words" / f"{language}.json").read_text(encoding="utf-8")))


@cache
def _code() -> str:
    files = [path for path in SOURCES.rglob("*.ts*") if path.suffix in {".ts", ".tsx"}]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_every_word(language: str) -> None:
    """A word that is missing in one language would be seen by its readers alone."""
    words = _words(language)

    assert words.keys() == _words("en").keys()
    assert [name for name, word in words.items() if not word.strip()] == []
    assert [name for name, word in words.items() if word != unicodedata.normalize("NFC", word)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_fills_in_the_same_names(language: str) -> None:
    """A sentence that loses its `{reason}` says less than it should."""
    places = {name: sorted(re.findall(r"\{(\w+)\}", word)) for name, word in _words(language).items()}

    assert places == {name: sorted(re.findall(r"\{(\w+)\}", word)) for name, word in _words("en").items()}


def test_no_word_is_left_that_nobody_says() -> None:
    """The catalogues hold what the page says, and nothing else."""
    code = _code()
    named = set(NAMED_IN_FULL.findall(code))
    named |= {f"{name}.next" for name in named if name.startswith("situation.")}
    prefixes = tuple(f"{prefix}." for prefix in {*MADE_OF_ANSWERS.findall(code), *MADE_IN_PLACE.findall(code)})

    unsaid = [name for name in _words("en") if name not in named and not name.startswith(prefixes)]

    assert unsaid == []


def test_vietnamese_keeps_its_marks() -> None:
    """Vietnamese without its marks is another language; nearly every sentence has one."""
    sentences = [word for word in _words("vi").values() if len(word) > 12]

    bare = [word for word in sentences if not VIETNAMESE.search(word)]

    assert len(bare) <= len(sentences) // 50, bare
