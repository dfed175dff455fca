"""Judges a run from outside: what senders recorded against what receivers got, and nothing that the system says inside.

Pure: records in, faults out. A fault is a sentence; an empty list means that the promises held.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.peers import Received

SIGNED_STATUSES = frozenset({"F", "C"})
RANK: Mapping[str, int] = {"R": 0, "P": 1, "F": 2, "C": 3}
"""How far a result is: what is told later is never further back (X ends its own unread result and is judged apart)."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must come of one examination once all of it was acknowledged: the numbers a final result must carry.

    `is_final` is False for one that nobody signs; `accession_number` is empty where nobody ordered it.
    """

    study_instance_uid: str
    accession_number: str
    placer_order_number: str
    patient_id: str
    sop_instance_uids: frozenset[str]
    is_final: bool = True


@dataclass
class Sent:
    """What the senders wrote down: orders answered AA or CA, instances answered 0x0000, when each signature was asked."""

    expected: list[Expected] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    signing: list[tuple[str, float]] = field(default_factory=list)

    def order_kept(self, placer_order_number: str) -> None:
        """Write down that an order was acknowledged."""
        self.orders.append(placer_order_number)

    def instance_kept(self, sop_instance_uid: str) -> None:
        """Write down that an instance was answered 0x0000."""
        self.instances.append(sop_instance_uid)

    def asked_to_sign(self, study_instance_uid: str, at: float) -> None:
        """Write down that a clinician is about to ask for a signature."""
        self.signing.append((study_instance_uid, at))


@dataclass(frozen=True, kw_only=True)
class Got:
    """What the receivers have: the EMR's messages in order, the images a reader sees of each study, what lies aside.

    `set_aside` are the lines that an operator is shown: dead letters, objects set aside, messages given up.
    """

    messages: Sequence[Received]
    images: Mapping[str, int]
    set_aside: Sequence[str] = ()


def faults(sent: Sent, got: Got) -> list[str]:
    """Return every way in which the run broke a promise."""
    told = _by_study(got.messages)
    return [
        *_lost(sent, got, told),
        *_set_aside(got),
        *_doubled(told),
        *_unsigned(sent, got.messages),
        *_out_of_order(told),
        *_strangers(sent, got.messages),
    ]


def _by_study(messages: Iterable[Received]) -> Mapping[str, list[Received]]:
    told: defaultdict[str, list[Received]] = defaultdict(list)
    for message in messages:
        told[message.study_instance_uid].append(message)
    return told


def _lost(sent: Sent, got: Got, told: Mapping[str, Sequence[Received]]) -> Iterator[str]:
    """Acknowledged is a part of used: each image in front of a reader, each order in the final result."""
    orders, instances = set(sent.orders), set(sent.instances)
    for each in sent.expected:
        kept = each.sop_instance_uids & instances
        shown = got.images.get(each.study_instance_uid, 0)
        if shown != len(kept):
            yield f"{each.study_instance_uid}: {len(kept)} images were acknowledged, a reader sees {shown}"
        finals = [m for m in told.get(each.study_instance_uid, ()) if m.status in SIGNED_STATUSES]
        if each.is_final and not finals:
            yield f"{each.study_instance_uid}: no final result came"
        for final in finals:
            yield from _unlike(each, final, has_order=each.placer_order_number in orders)


def _unlike(each: Expected, final: Received, *, has_order: bool) -> Iterator[str]:
    """Name what a final result does not carry of its order and its patient."""
    patient_ids = [identifier.split("^")[0] for identifier in final.field("PID", 3).split("~")]
    if each.patient_id not in patient_ids:
        yield f"{each.study_instance_uid}: the final result is about another patient"
    order = (final.field("OBR", 2).split("^")[0], final.accession_number)
    wanted = (each.placer_order_number, each.accession_number) if has_order else ("", "")
    if has_order and order != wanted:
        yield f"{each.study_instance_uid}: its order was acknowledged, and the final result does not answer it"


def _set_aside(got: Got) -> Iterator[str]:
    """Name what was set aside: visible, so not lost, and yet no fault of any sender here."""
    return (f"set aside: {line}" for line in got.set_aside)


def _doubled(told: Mapping[str, Sequence[Received]]) -> Iterator[str]:
    """One message a result: a repeat is the same bytes, and no two messages say the same."""
    for study, messages in told.items():
        bodies = {(message.control_id, message.raw) for message in messages}
        for control_id, number in Counter(control_id for control_id, _ in bodies).items():
            if number > 1:
                yield f"{study}: {control_id} came again with other bytes"
        said = Counter(_said(raw) for raw in {raw for _, raw in bodies})
        yield from (f"{study}: the same result came as {n} messages" for n in said.values() if n > 1)
        finals = {message.control_id for message in messages if message.status == "F"}
        if len(finals) > 1:
            yield f"{study}: {len(finals)} first finals"


def _said(raw: bytes) -> bytes:
    """Return what a message says: all but its header, which names the message itself."""
    return raw.split(b"\r", 1)[-1]


def _unsigned(sent: Sent, messages: Iterable[Received]) -> Iterator[str]:
    """No final without a clinician who had asked to sign before it came."""
    for message in messages:
        asked = [at for study, at in sent.signing if study == message.study_instance_uid]
        if message.status in SIGNED_STATUSES and not any(at <= message.at for at in asked):
            yield f"{message.study_instance_uid}: {message.control_id} is final, and nobody had signed"


def _out_of_order(told: Mapping[str, Sequence[Received]]) -> Iterator[str]:
    """Each case is told in order: nothing that was said before comes back once something further was said."""
    for study, messages in told.items():
        first_told = list(dict.fromkeys(message.control_id for message in messages))
        turns = [control_id for control_id, before in _with_previous(messages) if control_id != before]
        if turns != first_told:
            yield f"{study}: an earlier message came again after a later one"
        ranks = [RANK[message.status] for message in messages if message.status in RANK]
        if ranks != sorted(ranks):
            yield f"{study}: told as {[message.status for message in messages]}"


def _with_previous(messages: Sequence[Received]) -> Iterator[tuple[str, str]]:
    before = ""
    for message in messages:
        yield message.control_id, before
        before = message.control_id


def _strangers(sent: Sent, messages: Iterable[Received]) -> Iterator[str]:
    """No result about a study that nobody sent."""
    known = {each.study_instance_uid for each in sent.expected}
    strange = {message.study_instance_uid for message in messages} - known
    return (f"{study}: a result about a study that nobody sent" for study in sorted(strange))
