"""What a reader is told of a model: what it is for, what it is not for, and its whole card."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from overread.inference import catalog

_HEADING = re.compile(r"^#+\s+(?P<title>.*)$")
_LIMITS = re.compile(r"not for|limits", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model version's card."""

    intended_use: str
    limits: tuple[str, ...]
    text: str


Cards = Mapping[tuple[str, str], Card]


def read_cards(models_file: Path | None) -> Cards:
    """Return the card of each model of the catalogue, by name and version; none without a catalogue."""
    if models_file is None:
        return {}
    models = catalog.load(models_file).models
    return {(model.name, model.version): _card(models_file.parent, model) for model in models}


def _card(folder: Path, model: catalog.Model) -> Card:
    text = (folder / model.card).read_text(encoding="utf-8")
    return Card(intended_use=model.intended_use, limits=tuple(limits_of(text)), text=text)


def limits_of(card: str) -> Iterator[str]:
    """Yield the points under the card's headings about limits, each as one line."""
    point, is_among = "", False
    for line in [*card.splitlines(), "#"]:
        heading = _HEADING.match(line)
        begins = line.startswith(("- ", "* "))
        if point and (heading or begins or line == "#" or not line.strip()):
            yield point
            point = ""
        if heading:
            is_among = bool(_LIMITS.search(heading["title"]))
        elif is_among and begins:
            point = line[2:].strip()
        elif point:
            point = f"{point} {line.strip()}"
