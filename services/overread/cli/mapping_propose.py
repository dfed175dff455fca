"""A recorded day's codes as a mapping to fill in: what assembly would count as not mapped, read as assembly reads it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from overread.assembly import order_folding, orders
from overread.assembly.mapping import SiteMapping
from overread.assembly.mapping_rows import Key
from overread.cli.mapping import to_fill_in
from overread.contracts.errors import OverreadError
from overread.contracts.events.orders import ServiceRequest

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def to_be_filled_in(messages: Iterable[bytes], *, link_id: str, fallback_charset: str) -> str:
    """Return a CSV with a row for each code of the messages' orders, the most frequent first; no patient is in it."""
    counts, examples = Counter[Key](), dict[Key, str]()
    for order in _orders(messages, link_id, fallback_charset):
        for key, example in SiteMapping().unmapped(order):
            counts[key] += 1
            examples.setdefault(key, example)
    return to_fill_in((key.kind, key.link, key.code, key.system, examples[key]) for key, _ in counts.most_common())


def _orders(messages: Iterable[bytes], link_id: str, fallback_charset: str) -> Iterator[ServiceRequest]:
    """Yield what each message says of an order; what is none is passed over."""
    for raw in messages:
        try:
            told = orders.read(raw, fallback_charset, UTC, received_at=_ANY_TIME, link_id=link_id)
            folded = [order_folding.step(order_folding.NOTHING, one, one.own_id("proposed"))[0] for one in told]
        except OverreadError:
            continue
        yield from (order for order in folded if order is not None)
