"""The order controls that are taken, and what each does to an order (ORC-1, table HL70119; HL7 v2.5.1, 4.5.1.1)."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple


class Effect(Enum):
    """What a message does to the status of its order; whatever else it says of the order is taken in any case."""

    OPENS = auto()  # wanted from now on, also when it was cancelled before
    TELLS = auto()  # the status is what ORC-5 says, if anything
    CANCELS = auto()  # not wanted any more, or not going to be done
    STANDS = auto()  # the cancellation or replacement was refused: the order is wanted after all
    HOLDS = auto()
    RELEASES = auto()  # no longer on hold; one that is cancelled stays so


class Control(NamedTuple):
    """What a control does, and whether its message must say what is asked for (OBR-4)."""

    effect: Effect
    needs_detail: bool = False


CONTROLS: Mapping[str, Control] = {
    # new
    "NW": Control(Effect.OPENS, needs_detail=True),
    "RO": Control(Effect.OPENS, needs_detail=True),  # takes the place of the one that RP, RQ or RU names
    "CH": Control(Effect.OPENS, needs_detail=True),  # an order of its own below another; the parent does not change
    "SN": Control(Effect.OPENS, needs_detail=True),  # made by the filler, which asks for a placer's number
    # changed, or its state told
    "XO": Control(Effect.TELLS, needs_detail=True),
    "XR": Control(Effect.TELLS),
    "XX": Control(Effect.TELLS),
    "SC": Control(Effect.TELLS),
    "SR": Control(Effect.TELLS),
    "NA": Control(Effect.TELLS),  # the number that SN asked for
    "OK": Control(Effect.TELLS),
    "RR": Control(Effect.TELLS),
    "RE": Control(Effect.TELLS),
    "PA": Control(Effect.TELLS),
    "UX": Control(Effect.TELLS),  # what the refused change said stays until the placer says otherwise
    # not wanted, not done
    "CA": Control(Effect.CANCELS),
    "CR": Control(Effect.CANCELS),
    "OC": Control(Effect.CANCELS),
    "DC": Control(Effect.CANCELS),
    "DR": Control(Effect.CANCELS),
    "OD": Control(Effect.CANCELS),
    "RP": Control(Effect.CANCELS),
    "RQ": Control(Effect.CANCELS),
    "RU": Control(Effect.CANCELS),
    "UA": Control(Effect.CANCELS),
    # the filler can't do what was asked, so it is as it was
    "UC": Control(Effect.STANDS),
    "UD": Control(Effect.STANDS),
    "UM": Control(Effect.STANDS),
    "UH": Control(Effect.RELEASES),
    "UR": Control(Effect.HOLDS),
    # on hold
    "HD": Control(Effect.HOLDS),
    "HR": Control(Effect.HOLDS),
    "OH": Control(Effect.HOLDS),
    "RL": Control(Effect.RELEASES),
    "OR": Control(Effect.RELEASES),
    "OE": Control(Effect.RELEASES),
}
"""By code. What is not here, pharmacy's refills, charges and queries for a state, is no word about an imaging order."""

CHILD = "CH"
PARENT = "PA"

_RANKS: Mapping[Effect, int] = {Effect.OPENS: 0, Effect.TELLS: 1, Effect.CANCELS: 2, Effect.STANDS: 3}


def rank_in_one_second(code: str) -> int:
    """Return which of two messages of one second comes first: new, then changed, then cancelled, then refused.

    A hold and its release count as changes: within a second they are taken as they came.
    """
    return _RANKS.get(CONTROLS[code].effect, 1)
