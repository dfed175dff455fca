"""Takes ADT messages into the records of their patients, and corrects the orders and cases of whoever reads differently.

What came before is never rewritten: a merge is an alias record, and orders and images are read through it.
"""

from collections.abc import Sequence
from datetime import tzinfo
from itertools import chain
from uuid import UUID

from overread.assembly import correcting, patient_store
from overread.assembly.known_patients import KnownPatients
from overread.assembly.patient_numbers import id_numbers, key_of, may_be_same, record_keys
from overread.assembly.patient_records import CIRCLE, Record, Statement, fold
from overread.assembly.shared_numbers import shared_among, without
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed
from overread.contracts.events.intake import HL7Received
from overread.contracts.events.orders import PatientIdentifier
from overread.protocols.hl7 import adt, data_types
from overread.protocols.hl7.lengths import check_numbers
from overread.protocols.hl7.tokenise import tokenise
from overread.runtime.inbox import Cause, Transaction


def read(event: Event[HL7Received], raw: bytes, time_zone: tzinfo) -> list[Statement]:
    """Return what a message says, in its order, or raise `Malformed` with the first field for which it can't be taken."""
    message = tokenise(raw, event.data.fallback_charset or None)
    told = adt.read_patients(message, time_zone=time_zone)
    check_numbers(message)
    return [_statement(event, number, one) for number, one in enumerate(told)]


async def take(tx: Transaction, event: Event[HL7Received], statements: Sequence[Statement]) -> None:
    """Keep what one message says, and settle what it changes; raise `Malformed` for a merge that closes a circle."""
    for statement in statements:
        await patient_store.add_statement(tx, event.site_id, statement)
        refused = await settle(tx, event, statement.keys)
        if statement in refused:
            raise Malformed(CIRCLE)


async def settle(tx: Transaction, cause: Cause, keys: frozenset[str]) -> Sequence[Statement]:
    """Fold all that is known of the patients that `keys` name, and correct what reads differently since.

    Return the merges that are refused.
    """
    site_id = cause.site_id
    statements = await patient_store.statements_about(tx, site_id, keys)
    tied = frozenset(chain.from_iterable(statement.keys for statement in statements))
    known = await patient_store.shared_numbers(tx, site_id, tied)
    own = without(statements, known)
    if shared := shared_among(own):
        await patient_store.note_shared(tx, site_id, shared, statements[-1].message_control_id)
    said = chain.from_iterable((*statement.identifiers, *statement.prior) for statement in own)
    near = (await patient_store.known_by(tx, site_id, id_numbers(said))).records
    before = _tied(near, tied - known)
    own = without(own, shared)
    folded = fold(own, site_id, known_elsewhere=await _known_elsewhere(tx, site_id, own))
    await patient_store.note_open(tx, site_id, statements, before, folded)
    if sorted(before, key=_by_id) != sorted(folded.records, key=_by_id):
        await patient_store.keep(tx, site_id, before, folded)
        others = [record for record in near if record not in before]
        was, now = KnownPatients((*others, *before)), KnownPatients((*others, *folded.records))
        await correcting.correct(tx, cause, was, now)
    return folded.refused


def _tied(records: Sequence[Record], keys: frozenset[str]) -> list[Record]:
    """Return the records that these keys were folded into: others have the same number of another authority."""
    return [one for one in records if keys.intersection((*record_keys(one.identifiers), *one.merged))]


def _by_id(record: Record) -> UUID:
    return record.record_id


async def _known_elsewhere(tx: Transaction, site_id: str, statements: Sequence[Statement]) -> frozenset[str]:
    """Return the keys of survivors that an order or image names."""
    survivors = [one for statement in statements for one in statement.survivors]
    if not survivors:
        return frozenset()
    named = await patient_store.identifiers_named(tx, site_id, id_numbers(survivors))
    return frozenset(key_of(one) for one in survivors if any(may_be_same(one, other) for other in named))


def _statement(event: Event[HL7Received], number: int, told: adt.PatientStatement) -> Statement:
    patient = told.patient
    name = patient.names[0] if patient.names else data_types.PersonName(family_name="")
    given = (name.given_name, name.second_and_further_given_names)
    return Statement(
        event_id=event.id,
        group_number=number,
        message_control_id=told.message_control_id,
        stated_at=told.stated_at.utc if told.stated_at else event.data.received_at,
        identifiers=tuple(map(_identifier, patient.identifiers)),
        prior=tuple(map(_identifier, adt.ended(told))),
        survivors=tuple(_identifier(surviving) for _, surviving in adt.pairs(told)),
        family_name=name.family_name,
        given_name=" ".join(part for part in given if part),
        birth_date=patient.birth_date or "",
        sex=patient.administrative_sex or "",
        cleared=told.cleared,
    )


def _identifier(read: data_types.PatientIdentifier) -> PatientIdentifier:
    return PatientIdentifier(
        id_number=read.id_number,
        assigning_authority=read.assigning_authority or read.assigning_authority_universal_id,
        identifier_type_code=read.identifier_type_code,
    )
