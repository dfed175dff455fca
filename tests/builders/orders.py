"""Order messages about the patient and study of `builders.events`, at any minute of one morning."""

from collections.abc import Mapping, Sequence
from datetime import timedelta, timezone

from overread.assembly import orders
from overread.assembly.order_folding import NOTHING, StoredOrder, step
from overread.assembly.orders import OrderMessage
from tests.builders.events import NOON, ORDER_ID, STUDY
from tests.builders.hl7 import Places, an_omi

ACCESSION = "TEST-ACC-1"
HANOI = timezone(timedelta(hours=7))


def an_order(
    minute: int = 0,
    control: str = "NW",
    without: Places = (),
    put: Mapping[str, str] | None = None,
    **known: str,
) -> bytes:
    """Return an OMI^O23 sent `minute` minutes after nine; the order's own time stays the same."""
    said = {
        "control": control,
        "control_id": f"HIS{minute}",
        "placer": "TEST-PLACER-1^HIS",
        "accession": ACCESSION,
        "study": STUDY,
        "patient_id": "TEST-0001^^^HIS^PI",
        "priority": "R",
    }
    sent = {"MSH-7": f"2026112209{minute:02d}00+0700", "PID-7": "19700101"}
    return an_omi(without=without, put=sent | dict(put or {}), **(said | known))


def a_cancellation(minute: int = 1, **known: str) -> bytes:
    """Return the cancellation of `an_order()` as most systems send it: the numbers and no study."""
    return an_order(minute, "CA", ("OBR", "IPC", "TQ1"), None, **known)


def a_message(raw: bytes) -> OrderMessage:
    """Return the one order that a message holds."""
    (message,) = orders.read(raw, "UNICODE UTF-8", HANOI, received_at=NOON)
    return message


def folded(*raw: bytes, before: StoredOrder | None = None) -> StoredOrder:
    """Return the order as messages, in order of arrival, say it together; `before` itself when they add nothing."""
    return fully_folded([a_message(one) for one in raw], before=before)


def fully_folded(messages: Sequence[OrderMessage], *, before: StoredOrder | None = None) -> StoredOrder:
    """Return the order folded anew from all its messages, by the sender's sequence: what any other way must equal."""
    reading = NOTHING
    for message in sorted(messages, key=lambda message: message.place):
        reading = step(reading, message, ORDER_ID)
    order, patient = reading
    assert order is not None
    if before is not None and (before.order, before.patient) == (order, patient):
        return before
    return StoredOrder(revision=before.revision + 1 if before else 1, order=order, patient=patient)
