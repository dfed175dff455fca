"""What leaves before a signature says so, under the destination's own word, and only where it is wanted."""

import pytest

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.contracts.events.reports import ReportDocument
from overread.delivery.handlers import Earlier, decoded, unverified_tellings, withdrawal_of
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Position, Status
from overread.delivery.telling import OutboundMessage, UnreadableDocument
from overread.protocols.hl7.oru_content import UNCONFIRMED, Language, ResultStatus
from overread.protocols.hl7.oru_reading import read_back
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.delivery import a_destination, a_telling, an_occasion
from tests.builders.events import a_finding, a_report_document, a_signed_document


def drafts_to(document: ReportDocument, earlier: Earlier | None = None, **destination: object) -> list[OutboundMessage]:
    """Render `document` for one destination."""
    raw = codec.document_bytes(document)
    tellings = unverified_tellings(raw, (a_destination(**destination),), earlier or {}, an_occasion())
    return [message for telling in tellings for message in messages_for(telling)]


def models_beside(message: OutboundMessage, code: str) -> list[str]:
    """Return the models that the observation of that code names (OBX-18)."""
    (said,) = (s for s in tokenise(message.message).segments("OBX") if s.field(3).component(1).text == code)
    return [model.component(1).text for model in said.field(18).repetitions]


@pytest.mark.parametrize("status", ["R", "P"])
@pytest.mark.parametrize("language", list(Language))
def test_a_draft_says_that_nobody_has_confirmed_it(status: str, language: Language) -> None:
    """R by default, P only by the destination's setting; the text says it in the destination's language."""
    (message,) = drafts_to(a_report_document(), send_unverified=status, language=language.value)

    said = read_back(message.message)
    assert said.status is ResultStatus(status)
    assert UNCONFIRMED[language] in message.message.decode()
    assert said.signer is None


def test_a_draft_of_synthetic_data_says_so() -> None:
    """MSH-11 is T, and the text says `synthetic`, so that no phantom is taken for a patient."""
    (message,) = drafts_to(a_report_document(is_synthetic=True))

    assert b"|T|2.5.1" in message.message
    assert b"synthetic" in message.message


def test_a_draft_of_a_patient_is_production() -> None:
    """MSH-11 is P for everything that is not made up."""
    (message,) = drafts_to(a_report_document(is_synthetic=False))

    assert b"|P|2.5.1" in message.message
    assert b"synthetic" not in message.message


def test_a_draft_goes_nowhere_by_default() -> None:
    """A destination has to ask for unread results."""
    assert drafts_to(a_report_document(), send_unverified="none") == []


def test_a_draft_without_an_order_goes_only_where_that_is_wanted() -> None:
    """`unsolicited = true` asks for results that nobody ordered."""
    document = a_report_document(orders=())

    assert len(drafts_to(document)) == 1
    assert drafts_to(document, unsolicited=False) == []


def test_a_draft_never_follows_a_final() -> None:
    """A late or replayed draft does not undo what a clinician signed."""
    earlier = {"emr": (Position(report_revision=1, status=Status.FINAL),)}

    assert drafts_to(a_report_document(), earlier) == []
    assert drafts_to(a_report_document(report_revision=2), earlier) == []


def test_a_withdrawal_carries_no_values() -> None:
    """OBR-25 and OBX-11 are X, the reason is in NTE, the values are gone (HL7 v2.5.1, OBX-11)."""
    raw = codec.document_bytes(a_report_document())
    occasion = an_occasion(reason="order cancelled")

    (message,) = messages_for(withdrawal_of(raw, a_destination(), (), occasion, report_revision=2))

    said = read_back(message.message)
    assert said.status is ResultStatus.CANCELLED
    assert said.reason == "order cancelled"
    assert message.report_revision == 2
    assert b"5512.3" not in message.message


def test_control_id_is_short_and_differs_by_status() -> None:
    """MSH-10 has at most 20 characters in 2.5.1, and no two messages share it."""
    tellings = [
        a_telling(status=Status.UNVERIFIED),
        a_telling(status=Status.PRELIMINARY),
        a_telling(destination=a_destination(name="ris"), status=Status.PRELIMINARY),
    ]

    messages = [message for telling in tellings for message in messages_for(telling)]

    assert len({message.message_control_id for message in messages}) == 3
    assert all(len(message.message_control_id) == 20 for message in messages)


@pytest.mark.parametrize(
    "study_date_time", ["", "2026-11-22", "2026-11-22T09:58:00", "2026-11-22T02:58:00+00:00", "no"]
)
def test_any_study_time_can_be_sent(study_date_time: str) -> None:
    """Devices leave times out or send odd ones: the result leaves all the same."""
    document = a_report_document(study_date_time=study_date_time)

    (message,) = drafts_to(document)

    assert (b"20261122095800+0700" in message.message) is ("T" in study_date_time)


def test_a_changed_finding_is_no_models_word() -> None:
    """OBX-17 and OBX-18 name the model only where the report says exactly what the model said."""
    document = a_report_document()
    changed = document.model_copy(update={"findings": (document.findings[0].model_copy(update={"value": "1.0"}),)})

    (untouched,), (edited,) = drafts_to(document), drafts_to(changed)

    assert models_beside(untouched, "OR-LUNG-VOLUME") == ["ct-lung-density"]
    assert models_beside(edited, "OR-LUNG-VOLUME") == []


@pytest.mark.parametrize(
    ("changed", "models"),
    [
        ({"verdict": "accepted"}, ["ct-lung-density"]),
        ({"verdict": "changed", "findings": (a_finding(value="1.0"),)}, []),
        ({"verdict": "rejected", "findings": ()}, []),
    ],
)
def test_a_signed_text_names_the_models_that_the_clinician_left_standing(
    changed: dict[str, object], models: list[str]
) -> None:
    """OBX-17 to OBX-19 stand beside the text as beside a finding: not where it is the clinician's alone."""
    (message,) = messages_for(a_telling(a_signed_document(**changed)))

    assert models_beside(message, "59776-5") == models


def test_what_is_no_document_is_malformed() -> None:
    """It goes to the dead letter with a reason that quotes nothing of it."""
    with pytest.raises(Malformed):
        decoded("no base64!")
    with pytest.raises(UnreadableDocument):
        unverified_tellings(b'{"patient": "TEST^PATIENT"}', (a_destination(),), {}, an_occasion())
