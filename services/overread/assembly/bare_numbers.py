"""Which orders a number without a namespace means: its sender's, or one that it plainly agrees with. Pure."""

from collections.abc import Sequence
from uuid import UUID

from overread.assembly import patients
from overread.assembly.order_folding import names_another, stated_patient
from overread.assembly.orders import NamedOrder, OrderMessage


def meant_by(message: OrderMessage, named: Sequence[NamedOrder]) -> list[NamedOrder]:
    """Return those of the orders under the message's bare number that it is about.

    The sender's own count alone. Where it has none, another's is meant if it is plainly the same: a RIS hands the HIS's
    number back as it got it, and an order may be told by HL7 and by a statement. Of two that could be meant, neither is.
    """
    own = [order for order in named if is_own(message, order)]
    if own:
        return own
    others = [order for order in named if _is_plainly_the_same(message, order)]
    ids: dict[str, set[UUID]] = {}
    for order in others:
        ids.setdefault(order.suffix, set()).add(order.order_id)
    return others if all(len(one) == 1 for one in ids.values()) else []


def is_own(message: OrderMessage, order: NamedOrder) -> bool:
    """Say whether the number is the sender's own; one from before senders were kept is of the order's link."""
    if not order.sender:
        return bool(order.link_id) and order.link_id == message.link_id
    return order.sender == message.sender or _is_one_link(order.sender, message.sender)


def sender_on(link_id: str, sending_application: str = "", sending_facility: str = "") -> str:
    """Return who sends: the link, and MSH-3 and MSH-4 where a message has them."""
    said = (sending_application, sending_facility)
    return "|".join((link_id, *said)) if any(said) else link_id


def _is_one_link(one: str, other: str) -> bool:
    """Say whether both came over one link, one of them without saying more of its sender, as statements do."""
    is_silent = "|" not in one or "|" not in other
    return is_silent and one.partition("|")[0] == other.partition("|")[0]


def _is_plainly_the_same(message: OrderMessage, order: NamedOrder) -> bool:
    """Say whether number and patient agree, or number and study, and nothing speaks against it."""
    if order.patient is None or names_another(message, order.patient):
        return False
    said = (message.request.accession_number, message.request.study_instance_uid)
    pairs = list(zip(said, (order.accession_number, order.study_instance_uid), strict=True))
    if any(one and other and one != other for one, other in pairs):
        return False
    is_one_study = any(one and one == other for one, other in pairs)
    is_from_before = not order.sender and not order.link_id
    patient = stated_patient(message.request.patient)
    return is_one_study or is_from_before or patients.share_an_identifier(patient, order.patient)
