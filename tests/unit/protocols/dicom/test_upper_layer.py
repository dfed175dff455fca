"""The acceptor's state machine of PS3.8, 9.2, fed with the bytes of a requestor written apart from it."""

from typing import Any

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ

from overread.protocols.dicom import pdu
from overread.protocols.dicom.upper_layer import (
    REACTIONS,
    STATE_AFTER_REACTION,
    AbortedByPeer,
    AcceptorConfig,
    Association,
    AssociationRequested,
    AssociationState,
    DataReceived,
    MisusedAssociation,
    ProtocolViolated,
    Reaction,
    ReleaseRequested,
    refusal_of,
)
from tests.builders import dicom

CONFIG = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}))


def an_established_association(config: AcceptorConfig = CONFIG, **request: Any) -> Association:
    association = Association(config)
    association.receive(dicom.an_associate_request(**request))
    association.accept()
    return association


def the_refusal(config: AcceptorConfig = CONFIG, **request: Any) -> pdu.Rejection | None:
    (event,) = Association(config).receive(dicom.an_associate_request(**request))
    assert isinstance(event, AssociationRequested)
    return event.refusal


def the_answer_to(association: Association) -> Any:
    answer = A_ASSOCIATE_AC()
    answer.decode(association.accept())
    return answer


def test_every_state_reacts_to_every_pdu() -> None:
    """PS3.8, table 9-10: no cell of the table is empty, and every reaction leads to a state or is ignored."""
    kinds = {*pdu.PduType, None}

    rows = {state: set(REACTIONS[state]) for state in AssociationState}

    assert all(row == kinds for row in rows.values())
    assert set(STATE_AFTER_REACTION) == set(Reaction) - {Reaction.IGNORE}


def test_an_association_goes_from_request_to_release() -> None:
    """PS3.8, 9.2: request, data, release, each indicated once."""
    association = Association(CONFIG)

    (requested,) = association.receive(dicom.an_associate_request())
    accepted = association.accept()
    (received,) = association.receive(dicom.data_pdus(b"abcd", is_command=True))
    (ended,) = association.receive(dicom.a_release_request())
    released = association.release()

    assert isinstance(requested, AssociationRequested)
    assert requested.refusal is None
    assert accepted[0] == 0x02
    assert received == DataReceived((pdu.PresentationDataValue(1, True, True, b"abcd"),))
    assert ended == ReleaseRequested()
    assert released == b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
    assert association.state is AssociationState.AWAITING_CLOSE


@pytest.mark.parametrize(
    ("request_fault", "rejection"),
    [
        ({"called": "NOBODY"}, (1, 1, 7)),
        ({"called": "overread"}, (1, 1, 7)),
        ({"called": ""}, (1, 1, 7)),
        ({"application_context": "1.2.3"}, (1, 1, 2)),
        ({"protocol_version": 2}, (1, 2, 2)),
    ],
)
def test_a_request_we_must_not_accept_names_its_reason(
    request_fault: dict[str, Any], rejection: tuple[int, int, int]
) -> None:
    """PS3.8, 9.3.4: an unknown called AE is always rejected, so is a foreign application context or version."""
    refusal = the_refusal(**request_fault)

    assert refusal == pdu.Rejection(*rejection)


def test_an_allow_list_keeps_other_calling_aes_out() -> None:
    """PS3.8, 9.3.4: result 1, source 1, reason 3."""
    config = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}), calling_ae_titles=frozenset({"CT1"}))

    refusals = [the_refusal(config, calling=title) for title in ("CT1", "CT2")]

    assert refusals == [None, pdu.CALLING_AE_TITLE_NOT_RECOGNIZED]


def test_a_rejection_is_readable_by_an_other_implementation() -> None:
    """PS3.8, 9.3.4: too many associations are a transient rejection by the presentation provider."""
    association = Association(CONFIG)
    association.receive(dicom.an_associate_request())
    answer = A_ASSOCIATE_RJ()

    answer.decode(association.reject(pdu.LOCAL_LIMIT_EXCEEDED))

    assert (answer.result, answer.source, answer.reason_diagnostic) == (2, 3, 2)
    assert association.state is AssociationState.AWAITING_CLOSE


def test_the_first_supported_transfer_syntax_of_each_context_is_accepted() -> None:
    """PS3.8, 9.3.3.2: each proposed context gets its own answer, in order."""
    association = Association(CONFIG)
    association.receive(
        dicom.an_associate_request(
            contexts=(
                (1, dicom.CT_IMAGE_STORAGE, ("1.2.3.4", dicom.JPEG_2000_LOSSLESS, dicom.EXPLICIT_VR_LITTLE_ENDIAN)),
                (3, dicom.CT_IMAGE_STORAGE, ("1.2.3.4",)),
                (5, dicom.PRIVATE_STORAGE, (dicom.IMPLICIT_VR_LITTLE_ENDIAN,)),
                (255, dicom.VERIFICATION, (dicom.IMPLICIT_VR_LITTLE_ENDIAN,)),
            )
        )
    )

    answer = the_answer_to(association)

    assert [(context.context_id, context.result) for context in answer.presentation_context] == [
        (1, 0),
        (3, 4),
        (5, 3),
        (255, 0),
    ]
    assert answer.presentation_context[0].transfer_syntax == dicom.JPEG_2000_LOSSLESS
    assert set(association.contexts) == {1, 255}


def test_a_private_sop_class_is_accepted_where_the_site_says_so() -> None:
    """Private SOP classes are opt-in."""
    config = AcceptorConfig(
        called_ae_titles=frozenset({"OVERREAD"}), abstract_syntaxes=frozenset({dicom.PRIVATE_STORAGE})
    )

    association = an_established_association(
        config, contexts=((1, dicom.PRIVATE_STORAGE, (dicom.EXPLICIT_VR_LITTLE_ENDIAN,)),)
    )

    assert association.contexts[1].abstract_syntax == dicom.PRIVATE_STORAGE


def test_the_acceptance_echoes_the_titles_and_names_our_limits() -> None:
    """PS3.8, 9.3.3 and PS3.7, D.3.3: AE titles as they came, our maximum length, our implementation."""
    association = Association(AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}), maximum_length=65_536))
    association.receive(dicom.an_associate_request(calling="CT1"))

    answer = the_answer_to(association)

    assert (answer.reserved_aet, answer.reserved_aec) == ("OVERREAD", "CT1")
    assert answer.user_information.maximum_length == 65_536
    assert answer.user_information.implementation_class_uid.is_valid
    assert answer.user_information.implementation_version_name == "OVERREAD_1"


def test_unknown_user_items_are_tolerated_and_roles_are_answered() -> None:
    """PS3.7, D.3.3: a peer may be SCU, never SCP; identity and extended negotiation get no answer."""
    uid = dicom.CT_IMAGE_STORAGE.encode()
    role = dicom.an_item(0x54, len(uid).to_bytes(2, "big") + uid + b"\x01\x01")
    identity = dicom.an_item(0x58, b"\x01\x00\x00\x04TEST\x00\x00")
    window = dicom.an_item(0x53, b"\x00\x05\x00\x05")
    extended = dicom.an_item(0x56, len(uid).to_bytes(2, "big") + uid + b"\x02\x00")
    association = Association(CONFIG)
    association.receive(dicom.an_associate_request(user_items=role + identity + window + extended))

    answer = the_answer_to(association)

    (answered,) = answer.user_information.role_selection.values()
    assert (answered.scu_role, answered.scp_role) == (True, False)
    assert answer.user_information.user_identity is None
    assert answer.user_information.async_ops_window is None
    assert not answer.user_information.ext_neg


@pytest.mark.parametrize(
    ("sent", "source", "reason"),
    [
        (dicom.a_pdu(0x09, b"1234"), 2, 1),  # unrecognized PDU
        (dicom.a_pdu(0x06, bytes(4)), 2, 2),  # A-RELEASE-RP that nobody asked for
        (dicom.an_associate_request(), 2, 2),  # a second request
        (dicom.a_pdu(0x04, b"\x00\x00\x00\x09\x01\x03ab"), 2, 6),  # a length that does not fit
        (dicom.a_pdu(0x04, b"\x00\x00\x00\x01\x01"), 2, 6),  # shorter than its own header
        (dicom.data_pdus(b"ab", context_id=3, is_command=True), 2, 6),  # a context that was not accepted
        (b"\x04\x00\xff\xff\xff\xff", 2, 6),  # a PDU of 4 GiB
    ],
)
def test_a_broken_peer_is_aborted_with_source_and_reason(sent: bytes, source: int, reason: int) -> None:
    """PS3.8, AA-8 and 9.3.8: the provider aborts and says why; nothing is buffered for it."""
    association = an_established_association()

    (event,) = association.receive(sent)

    assert isinstance(event, ProtocolViolated)
    assert event.answer == b"\x07\x00\x00\x00\x00\x04\x00\x00" + bytes((source, reason))
    assert association.state is AssociationState.AWAITING_CLOSE


def test_data_before_an_association_is_aborted_by_the_service_user() -> None:
    """PS3.8, AA-1: in Sta2 the abort comes from the service user, reason 0."""
    association = Association(CONFIG)

    (event,) = association.receive(dicom.data_pdus(b"ab", is_command=True))

    assert isinstance(event, ProtocolViolated)
    assert event.answer[-2:] == b"\x00\x00"


def test_a_web_browser_is_aborted() -> None:
    """Bytes of another protocol never raise."""
    association = Association(CONFIG)

    (event,) = association.receive(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert isinstance(event, ProtocolViolated)


def test_an_abort_of_the_peer_ends_everything() -> None:
    """PS3.8, AA-3: the connection is closed and later bytes are ignored."""
    association = an_established_association()

    events = association.receive(dicom.an_abort() + dicom.data_pdus(b"ab", is_command=True))

    assert events == [AbortedByPeer(0, 0)]
    assert association.state is AssociationState.CLOSED


def test_data_after_our_abort_is_ignored() -> None:
    """PS3.8, AA-6: a peer may still be sending while our abort travels."""
    association = an_established_association()
    association.abort()

    events = association.receive(dicom.data_pdus(b"ab", is_command=True) + dicom.a_release_request())

    assert events == []


def test_a_response_is_cut_to_what_the_peer_takes() -> None:
    """PS3.8, D.1: no P-DATA-TF to the peer is longer than its maximum length; its pieces join to the response."""
    association = an_established_association(maximum_length=32)
    response = bytes(range(100))

    sent = association.respond(1, response)

    bodies, rest = [], sent
    while rest:
        end = 6 + int.from_bytes(rest[2:6], "big")
        bodies.append(rest[6:end])
        rest = rest[end:]
    assert max(len(body) for body in bodies) <= 32
    assert b"".join(body[6:] for body in bodies) == response
    assert [body[5] for body in bodies] == [1] * (len(bodies) - 1) + [3]


def test_an_act_out_of_turn_is_refused() -> None:
    """An act whose state has no row raises instead of sending what PS3.8 forbids."""
    association = Association(CONFIG)

    with pytest.raises(MisusedAssociation):
        association.accept()

    assert association.state is AssociationState.AWAITING_REQUEST


@pytest.mark.parametrize(
    "contexts",
    [
        ((2, dicom.CT_IMAGE_STORAGE, (dicom.EXPLICIT_VR_LITTLE_ENDIAN,)),),
        ((1, dicom.CT_IMAGE_STORAGE, ("1.2",)), (1, dicom.VERIFICATION, ("1.2",))),
    ],
)
def test_an_even_or_repeated_context_id_is_aborted(contexts: tuple[tuple[int, str, tuple[str, ...]], ...]) -> None:
    """PS3.8, 9.3.2.2: context IDs are odd and unique."""
    association = Association(CONFIG)

    (event,) = association.receive(dicom.an_associate_request(contexts=contexts))

    assert isinstance(event, ProtocolViolated)


def test_refusal_is_a_pure_function_of_the_request() -> None:
    """The same request gets the same answer whoever asks."""
    (event,) = Association(CONFIG).receive(dicom.an_associate_request())
    assert isinstance(event, AssociationRequested)

    refusal = refusal_of(event.request, CONFIG)

    assert refusal is None
