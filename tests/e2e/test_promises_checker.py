"""The checker itself: an honest run passes, and each way to break a promise is caught and named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.builders.hl7 import an_oru
from tests.e2e.checker import Expected, Got, Sent, faults
from tests.fakes.peers import Received

STUDY, OTHER = "2.25.1", "2.25.2"
SOPS = frozenset({f"{STUDY}.1.{number}" for number in range(1, 4)})
SIGNED_AT = 100.0


def _expected() -> Expected:
    return Expected(
        study_instance_uid=STUDY,
        accession_number="ACC26112200123",
        placer_order_number="ORD20261122001",
        patient_id="BN000123",
        sop_instance_uids=SOPS,
    )


def _sent() -> Sent:
    return Sent(
        expected=[_expected()],
        orders=["ORD20261122001"],
        instances=sorted(SOPS),
        signing=[(STUDY, SIGNED_AT)],
    )


def _message(status: str, number: int, *, control_id: str = "", study: str = STUDY, put: str = "Phổi sáng") -> Received:
    """Return a result of ours as the EMR received it, `number` ticks after the signature (before it: negative)."""
    name = control_id or f"M-{status}"
    raw = an_oru(status, message_control_id=name, study_instance_uid=study, narrative=put)
    return Received(raw, SIGNED_AT + number, number)


def _got(*messages: Received, images: int = 3, set_aside: tuple[str, ...] = ()) -> Got:
    return Got(messages=messages, images={STUDY: images}, set_aside=set_aside)


HONEST = (_message("R", -2), _message("F", 1))


def test_honest_run_has_no_fault() -> None:
    """Unverified first, then one signed final about the order, the patient and every image."""
    assert faults(_sent(), _got(*HONEST)) == []


def test_resend_of_the_same_bytes_is_no_fault() -> None:
    """A receiver that keeps its standard sees one message."""
    assert faults(_sent(), _got(HONEST[0], HONEST[0], HONEST[1], replace(HONEST[1], at=HONEST[1].at + 3))) == []


def test_correction_after_a_final_is_no_fault() -> None:
    """A second signed revision is a correction, and no second final."""
    assert faults(_sent(), _got(*HONEST, _message("C", 5))) == []


FAULTY: dict[str, tuple[Callable[[], tuple[Sent, Got]], str]] = {
    "an image is gone": (lambda: (_sent(), _got(*HONEST, images=2)), "3 images were acknowledged, a reader sees 2"),
    "an image is doubled": (lambda: (_sent(), _got(*HONEST, images=4)), "a reader sees 4"),
    "nothing final came": (lambda: (_sent(), _got(HONEST[0])), "no final result came"),
    "the order is lost": (
        lambda: (_sent(), _got(Received(an_oru("F", placer_order_number=None, study_instance_uid=STUDY), 101, 1))),
        "does not answer it",
    ),
    "another patient": (
        lambda: (_sent(), _got(Received(HONEST[1].raw.replace(b"BN000123", b"BN000999"), 101, 1))),
        "another patient",
    ),
    "set aside": (lambda: (_sent(), _got(*HONEST, set_aside=("hl7.received.dead/0/1",))), "set aside: hl7.received"),
    "a resend differs": (
        lambda: (_sent(), _got(*HONEST, _message("F", 2, put="Khác"))),
        "came again with other bytes",
    ),
    "the same result twice": (
        lambda: (_sent(), _got(*HONEST, _message("F", 2, control_id="M-2"))),
        "the same result came as 2 messages",
    ),
    "two finals": (
        lambda: (_sent(), _got(*HONEST, _message("F", 2, control_id="M-2", put="Khác"))),
        "2 first finals",
    ),
    "nobody signed": (lambda: (replace_signing(_sent()), _got(*HONEST)), "nobody had signed"),
    "final before the signature": (lambda: (_sent(), _got(_message("F", -1))), "nobody had signed"),
    "unread after final": (
        lambda: (_sent(), _got(HONEST[1], _message("R", 3))),
        "told as ['F', 'R']",
    ),
    "an old message again": (
        lambda: (_sent(), _got(*HONEST, replace(HONEST[0], at=110.0))),
        "an earlier message came again after a later one",
    ),
    "a stranger": (lambda: (_sent(), _got(*HONEST, _message("R", 3, study=OTHER))), "a study that nobody sent"),
}


def replace_signing(sent: Sent) -> Sent:
    """Return the senders' record without any signature."""
    return replace(sent, signing=[])


@pytest.mark.parametrize("fault", FAULTY)
def test_checker_names(fault: str) -> None:
    """Each faulty record is caught: a checker that sees nothing proves nothing."""
    make, named = FAULTY[fault]

    found = faults(*make())

    assert any(named in sentence for sentence in found), found
