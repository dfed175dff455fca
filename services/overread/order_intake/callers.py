"""Who may place orders, under which link what they say is kept, and by which key a repeat is known."""

from fastapi import Request

from overread.order_intake.link_names import token_link
from overread.order_intake.problems import Refused
from overread.runtime.passes import Visitor

AUDIENCE = "order_intake"
PLACERS = frozenset({"order_placer"})

LONGEST_KEY = 150
"""An Idempotency-Key may be so long; of an array, each item's id is the key and its place."""


def link_of(request: Request) -> str:
    """Return the link of who asks."""
    visitor: Visitor = request.state.visitor
    return token_link(visitor.subject)


def idempotency_key(request: Request) -> str:
    """Return the header's key, without the quotes of a structured field (RFC 9651, 3.3.3)."""
    key = request.headers.get("idempotency-key", "").strip().strip('"').strip()
    if len(key) > LONGEST_KEY:
        raise Refused(400, "idempotency-key", f"Idempotency-Key is longer than {LONGEST_KEY}.", "Send a shorter one.")
    return key
