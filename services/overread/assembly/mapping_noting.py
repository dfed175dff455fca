"""Notes what a batch of orders shows of its senders: codes that no row of the mapping names, and their links."""

from collections.abc import Iterable, Sequence
from typing import Any

from overread.assembly import mapping_store
from overread.assembly.mapping import SiteMapping
from overread.contracts.envelope import Event
from overread.contracts.events.orders import ServiceRequest
from overread.runtime.inbox import Transaction


async def note_unmapped(tx: Transaction, site_id: str, mapping: SiteMapping, asked: Iterable[ServiceRequest]) -> None:
    """Count each code that the mapping does not name, once for each message that said what is asked."""
    seen = [found for order in asked for found in mapping.unmapped(order)]
    if seen:
        await mapping_store.note_unmapped(tx, site_id, seen)


async def note_links(tx: Transaction, site_id: str, events: Sequence[Event[Any]]) -> None:
    """Keep the links that the batch came in on; only HL7's have places of the accession number."""
    places = {event.data.link_id: tuple(getattr(event.data, "accession_places", ())) for event in events}
    await mapping_store.note_links(tx, site_id, places)
