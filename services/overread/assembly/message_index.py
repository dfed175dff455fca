"""By what a message is found again: its numbers as search keys, those of patients as keyed digests. Pure."""

import hmac
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received
from overread.contracts.identifiers import nfc
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.spoken_of import spoken_of
from overread.protocols.hl7.tokenise import tokenise

MOST_KEYS = 64
"""A message that names more is found by the first of each kind: nobody looks for the hundredth number of a batch."""

MOST_CHARACTERS = 199

USED, SET_ASIDE = "used", "set_aside"

Digests = Callable[[str], str | None]
"""Gives the keyed digest of a patient's number; None where the site has no secret for it."""


class IndexedMessage(NamedTuple):
    """A message as the index knows it."""

    event_id: UUID
    partition: int
    record_offset: int
    link_id: str
    message_type: str
    trigger_event: str
    message_control_id: str
    received_at: datetime
    outcome: str
    reason: str
    corrects: UUID | None
    keys: tuple[str, ...]


def digests_under(secret: bytes | None) -> Digests:
    """Return what digests patients' numbers under `secret`: the same number the same digest, and no way back."""

    def digest(number: str) -> str | None:
        return None if secret is None else hmac.digest(secret, _plain(number).upper().encode(), "sha256").hex()[:32]

    return digest


def control_key(control_id: str) -> str:
    """Return the key of a control ID (MSH-10)."""
    return f"control {_plain(control_id)}"


def accession_key(accession_number: str) -> str:
    """Return the key of an accession number."""
    return f"accession {_plain(accession_number)}"


def order_key(order_number: str) -> str:
    """Return the key of a placer or filler number, without its namespace."""
    return f"order {_plain(order_number)}"


def patient_key(number: str, digests: Digests) -> str | None:
    """Return the key of a patient's number; None where the site has no secret."""
    digest = digests(number)
    return None if digest is None else f"patient {digest}"


def indexed(
    event: Event[HL7Received],
    raw: bytes | None,
    place: tuple[int, int],
    digests: Digests,
    *,
    set_aside_because: str | None = None,
) -> IndexedMessage:
    """Return what the index keeps of a message that lies at `place` (partition and offset).

    What can't be cut, or is not there any more (`raw` is None), is found by its control ID alone.
    """
    said = event.data
    return IndexedMessage(
        event_id=event.id,
        partition=place[0],
        record_offset=place[1],
        link_id=said.link_id,
        message_type=said.message_type,
        trigger_event=said.trigger_event,
        message_control_id=said.message_control_id,
        received_at=said.received_at,
        outcome=USED if set_aside_because is None else SET_ASIDE,
        reason=set_aside_because or "",
        corrects=said.corrects,
        keys=tuple(dict.fromkeys(_keys(said, raw, digests)))[:MOST_KEYS],
    )


def _keys(said: HL7Received, raw: bytes | None, digests: Digests) -> Iterator[str]:
    yield control_key(said.message_control_id)
    try:
        named = spoken_of(tokenise(raw or b"", said.fallback_charset or None), said.accession_places)
    except HL7Error:
        return
    yield from map(accession_key, named.accession_numbers)
    yield from map(order_key, named.order_numbers)
    yield from _known(patient_key(number, digests) for number in named.patient_numbers)


def _known(keys: Iterable[str | None]) -> Iterator[str]:
    return (key for key in keys if key is not None)


def _plain(number: str) -> str:
    """Write a number as it is compared: blanks around it are the typist's."""
    plain = number.strip()[:MOST_CHARACTERS]
    return plain if plain.isascii() else nfc(plain)
