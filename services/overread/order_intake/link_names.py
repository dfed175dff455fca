"""Whose link is whose: a name that anybody may say in a record is never that of a sender who showed who they are. Pure."""

import re

from overread.contracts import codec

KAFKA = "kafka-"
"""Begins the links of those who write `orders.offered`, and no other: no token's, no folder's and no worklist's."""

_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def token_link(subject: str) -> str:
    """Return the link of a token: its subject, or where that can be no link's name, or no token's, a short digest of it."""
    is_own = _LINK.fullmatch(subject) is not None and not subject.startswith(KAFKA)
    return subject if is_own else f"subject-{_short(subject)}"


def kafka_link(name: str) -> str:
    """Return the link of a record that says it is of `name`: a record can say anything, so the name is no proof."""
    link = KAFKA + name
    return link if _LINK.fullmatch(link) else KAFKA + _short(name)


def own_name(name: str) -> str:
    """Return the name of a link that orders are fetched from, or raise `ValueError` where it is one of Kafka's."""
    if name.startswith(KAFKA):
        raise ValueError(f"names that begin with {KAFKA} are those of orders.offered; write another")
    return name


def _short(name: str) -> str:
    return codec.sha256(name.encode())[:16]
