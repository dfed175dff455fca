"""Every topic that governance reads: audit records into the chain, all else as pseudonymous facts."""

from collections.abc import Sequence

from overread.contracts.topics import AUDIT_RECORDED, REPLAYS_REQUESTED, Topic, read_by
from overread.governance import store
from overread.governance.audit_chain import record_of
from overread.governance.facts import fact_of
from overread.runtime.consume import Delivered, Handler
from overread.runtime.inbox import Transaction
from overread.runtime.service import Service


def register(service: Service) -> None:
    """Let `service` listen to every topic that names governance as a consumer; requests of replays are its skeleton's."""
    for topic in (topic for topic in read_by("governance") if topic is not REPLAYS_REQUESTED):
        service.consumes(topic)(chain_records if topic is AUDIT_RECORDED else _keeping_facts(topic))


async def chain_records(batch: Sequence[Delivered], tx: Transaction) -> None:
    """Add the batch to the chains of its sites, in the order in which it came."""
    for site_id in sorted({delivered.event.site_id for delivered in batch}):
        records = [record_of(delivered.event) for delivered in batch if delivered.event.site_id == site_id]
        await store.append(tx.connection, site_id, records)


def _keeping_facts(topic: Topic) -> Handler:
    async def keep_facts(batch: Sequence[Delivered], tx: Transaction) -> None:
        await store.add_facts(tx.connection, [fact_of(topic.name, delivered.event) for delivered in batch])

    return keep_facts
