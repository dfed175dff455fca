"""Which statement is an order: what must be there so that it can mean something. Pure; the same as HL7's rules."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from overread.contracts.errors import Malformed
from overread.contracts.events.order_statements import OrderAction, OrderStatement

_WITH_DETAIL = frozenset({OrderAction.NEW, OrderAction.CHANGE})
_MODALITY = re.compile(r"[A-Z0-9]{2,16}")
"""As the defined terms of Modality are written (PS3.3, C.7.3.1.1.1)."""
_SEXES = frozenset({"", "M", "F", "O", "U", "A", "N"})
"""Table HL70001; empty says nothing."""

MOST_AHEAD = timedelta(hours=1)
"""So much a sender's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one part: where it is (JSON pointer, RFC 6901, into the statement), and a plain sentence."""

    pointer: str
    sentence: str
    is_of_an_unknown_field: bool = False

    @property
    def known_place(self) -> str:
        """Return the place without a name that the sender made up, which could be anything, a patient's too."""
        return (self.pointer.rpartition("/")[0] if self.is_of_an_unknown_field else self.pointer) or "/"


class NotAnOrder(Malformed):
    """What was sent is no order that can be taken."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.known_place}: {fault.sentence}" for fault in faults))


def check(statement: OrderStatement, now: datetime) -> None:
    """Raise `NotAnOrder` with every fault of `statement`, which comes `now`."""
    if faults := (*faults_of(statement), *_ahead(statement, now)):
        raise NotAnOrder(faults)


def _ahead(statement: OrderStatement, now: datetime) -> Iterator[Fault]:
    """Yield what is said to be stated in time to come: no clock is off by so much, so it is another moment."""
    if statement.stated_at is not None and statement.stated_at > now + MOST_AHEAD:
        yield Fault("/stated_at", "This moment is to come: stated_at is when it is said, not when it is to be done.")


def faults_of(statement: OrderStatement) -> Iterator[Fault]:
    """Yield what keeps `statement` from being an order (as HL7 v2.5.1 requires of PID-3, ORC-2 or ORC-3, and OBR-4)."""
    if statement.placer is None and statement.filler is None:
        yield Fault("/placer", "The order has neither a placer nor a filler number, so nobody could name it again.")
    if not statement.patient.identifiers:
        yield Fault("/patient/identifiers", "The order names no number of the patient, so it belongs to nobody.")
    for index, identifier in enumerate(statement.patient.identifiers):
        if not identifier.id_number.strip():
            yield Fault(f"/patient/identifiers/{index}/id_number", "The number of the patient is empty.")
    service = statement.service
    if statement.action in _WITH_DETAIL and (service is None or not (service.identifier or service.text)):
        yield Fault("/service", "The order does not say what is asked for: a code or a text is needed.")
    if statement.replaces is not None and statement.replaces in (statement.placer, statement.filler):
        yield Fault("/replaces", "An order cannot replace itself.")


def uncoded(statement: OrderStatement) -> Iterator[Fault]:
    """Yield what is a word where a code is needed: a scanner's worklist would pass it on, or leave it out."""
    if statement.modality and not _MODALITY.fullmatch(statement.modality):
        yield Fault("/modality", "This is no modality: two to sixteen capitals, as CT, MR, DX.")
    if statement.patient.sex not in _SEXES:
        yield Fault("/patient/sex", "This is no code of table HL70001: M, F, O (other), U (not known), A or N.")
