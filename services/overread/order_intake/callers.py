"""Who may place orders, and under which link what they say is kept."""

import re

from fastapi import Request

from overread.contracts import codec
from overread.runtime.passes import Visitor

AUDIENCE = "order_intake"
PLACERS = frozenset({"order_placer"})

_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def link_of(request: Request) -> str:
    """Return the link of who asks: the token's subject, or where that can be no link's name, a short digest of it."""
    visitor: Visitor = request.state.visitor
    if _LINK.fullmatch(visitor.subject):
        return visitor.subject
    return f"subject-{codec.sha256(visitor.subject.encode())[:16]}"
