"""Messages too large for a row: stored objects, named by their digest, synced before their row commits."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from overread.contracts import codec
from overread.contracts.errors import OverreadError, Unavailable
from overread.delivery.store import OutboundRow
from overread.delivery.telling import OutboundMessage
from overread.runtime.object_store import LocalObjectStore, ObjectUnreadable

LARGEST_IN_A_ROW = 256 * 1024


class ObjectsAway(Unavailable):
    """Objects can't be read or kept for the moment: what needs them waits, and nothing else does."""


class ObjectBroken(ObjectsAway):
    """One object can't be read while its store answers: waiting alone mends nothing."""


class MessageChanged(OverreadError):
    """What is stored is not the message that was rendered: it is not sent."""


@contextlib.contextmanager
def objects_away() -> Iterator[None]:
    """Say of a dependency that is away inside that it is the object store, so that nobody takes it for the database."""
    try:
        yield
    except ObjectUnreadable as broken:
        raise ObjectBroken(str(broken)) from broken
    except Unavailable as away:
        raise ObjectsAway(str(away)) from away


async def put_aside(
    objects: LocalObjectStore | None, site_id: str, messages: Iterable[OutboundMessage]
) -> list[OutboundMessage]:
    """Return the messages as their rows keep them; what is large is on synced disk then."""
    return [await _put_aside(objects, site_id, message) for message in messages]


async def _put_aside(objects: LocalObjectStore | None, site_id: str, message: OutboundMessage) -> OutboundMessage:
    if objects is None or len(message.message) <= LARGEST_IN_A_ROW:
        return message
    key = f"{site_id}/outbound/{message.message_digest}"
    with objects_away():
        await objects.put(key, [message.message])
    return replace(message, message=b"", message_key=key)


async def with_message(objects: LocalObjectStore | None, row: OutboundRow) -> OutboundRow:
    """Return the row with its bytes, which are those that were rendered."""
    if not row.message_key:
        return row
    if objects is None:
        raise MessageChanged("the message is a stored object: set OVERREAD_OBJECT_ROOT")
    with objects_away():
        content = await objects.get(row.message_key)
    if codec.sha256(content) != row.message_digest:
        raise MessageChanged("what is stored is not the message that was rendered")
    return replace(row, message=content)
