"""What a usual order message looks like, as one pattern: recognised in a few microseconds, where fields cost more each.

It says yes only to messages that `contents.check_content` takes; to all others, right or wrong, it says nothing. Usual are
the standard delimiters, one ORC and one OBR, no long field, numbers that begin with a letter or digit, and times to the
second, with or without offset, on days that every month has.
"""

import re

from overread.protocols.hl7.delimiters import STANDARD, Delimiters
from overread.protocols.hl7.lengths import MOST_CHARACTERS
from overread.protocols.hl7.order_controls import CONTROLS

_DAY = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|1\d|2[0-8])"
_TIME = rf"{_DAY}(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:[+-](?:0\d|1[01])[0-5]\d)?"
_CONTROL = "|".join(CONTROLS)
_ANY = r"[^|\r\n]*\|"
_TEXT = r"[0-9A-Za-z][^|\r\n]*"
_PART = r"[^|^~\r\n]*"
_REST = r"[^\r\n]*\r"
_OTHERS = rf"(?:(?!ORC|OBR|TQ1|MSH|PID|DSC|ADD|BTS|FTS)[A-Z][A-Z0-9]{{2}}\|{_REST})*"

_USUAL = re.compile(
    rf"""
    MSH\|\^~\\&\|{_ANY}{_ANY}{_ANY}{_ANY}(?:{_TIME})?\|{_REST}
    {_OTHERS}
    PID\|{_ANY}{_ANY}{_TEXT}\|{_ANY}{_ANY}{_ANY}(?:{_DAY})?(?:\|[^\r\n]*)?\r    # 3: a number; 7: birth date
    {_OTHERS}
    ORC\|(?:{_CONTROL})\|{_TEXT}\|{_ANY}{_ANY}{_ANY}{_ANY}                  # 1: control; 2: placer's number
    (?:
      {_PART}\^{_PART}\^{_PART}\^{_TIME}(?:\^[^|\r\n]*)?\|{_ANY}(?:{_TIME})?(?:\|[^\r\n]*)?\r    # 7.4: when; 9: ordered
    |
      \|{_ANY}(?:{_TIME})?(?:\|[^\r\n]*)?\r
      TQ1\|{_ANY}{_ANY}{_ANY}{_ANY}{_ANY}{_ANY}{_TIME}(?:\|[^\r\n]*)?\r         # 7: when, where ORC does not say
    )
    {_OTHERS}
    OBR\|{_ANY}{_ANY}{_ANY}{_TEXT}{_REST}                                       # 4: what is asked for
    {_OTHERS}
    """.encode(),
    re.VERBOSE,
)


def is_usual_order(body: bytes, delimiters: Delimiters) -> bool:
    """Tell whether `body`, from MSH on, is an order message of the usual form, which needs no closer look."""
    return delimiters == STANDARD and _USUAL.fullmatch(body) is not None and _is_short(body)


def _is_short(body: bytes) -> bool:
    """Tell whether no field is so long that a number in it could be longer than one may be."""
    return max(map(len, body.split(b"|"))) <= MOST_CHARACTERS
