"""Pictures and the report as a page beside an HL7 result: in the message, or the address of our page."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import Withdrawal
from overread.delivery import attachments, gate, report_page
from overread.delivery.attachments import attachments_of
from overread.delivery.destinations import DestinationsRefused, parse
from overread.delivery.forms import needs_images
from overread.delivery.gate import Held, Released
from overread.delivery.rendering import written
from overread.delivery.sequence import Status
from overread.delivery.study_images import StudyImages, images_for
from overread.delivery.telling import Telling
from overread.protocols.dicom.picture import as_jpeg, shows
from overread.protocols.hl7.conformance import require_conformance
from overread.protocols.hl7.oru_content import UNCONFIRMED, Attachment, Language, Media
from overread.protocols.hl7.tokenise import Segment, tokenise
from overread.runtime.object_store import ObjectUnreadable
from tests.builders.delivery import a_destination, a_release_request, a_telling, some_circumstances
from tests.builders.events import CASE_ID, a_patient
from tests.builders.released_study import a_signed_imaged_document
from tests.builders.reported_study import an_imaged_case, an_imaged_document, some_imaging, the_objects

PAGE = "https://overread.bvx.example"
BOTH = {"attach": "embedded", "what": ["jpeg", "pdf"]}

LISTED = """
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
[destination.attachments]
{entry}
"""


def told(status: Status = Status.FINAL, *, setting: dict[str, Any] = BOTH, **changed: Any) -> Telling[Any]:
    """Return the report about the phantom, with its images, for an EMR that gets documents too."""
    document = changed.pop("document", a_signed_imaged_document() if status.is_signed else an_imaged_document())
    destination = a_destination(forms=["oru", "mdm"], attachments=setting)
    return a_telling(document, destination, status=status, **{"imaging": some_imaging()} | changed)


def said_by(telling: Telling[Any]) -> dict[str, list[Segment]]:
    """Return the OBX of the attachments of each message, which is read back without a difference and judged."""
    found = {}
    for form, message in written(telling):
        assert list(form.unlike(message, telling)) == []
        require_conformance(message.message)
        found[message.form] = attached(message.message)
    return found


def attached(raw: bytes) -> list[Segment]:
    """Return the OBX segments that hold a picture or a document, or name one."""
    codes = ("113000", "18748-4")
    return [segment for segment in tokenise(raw).segments("OBX") if segment.field(3).component(1).text in codes]


def decoded(segment: Segment) -> bytes:
    """Return what is in the message."""
    return base64.b64decode(segment.field(5).component(5).raw, validate=True)


def test_picture_and_page_are_in_the_message_and_in_the_document() -> None:
    """REQ-OUT-30: ED with type, subtype and Base64 (2.A.24), status and signer as of every other observation."""
    messages = said_by(told())

    assert list(messages) == ["oru", "mdm"]
    for picture, page in messages.values():
        names = [[segment.field(5).component(part).text for part in (1, 2, 3, 4)] for segment in (picture, page)]
        assert names == [["OVERREAD", "IM", "JPEG", "Base64"], ["OVERREAD", "AP", "PDF", "Base64"]]
        assert [segment.field(11).text for segment in (picture, page)] == ["F", "F"]
        assert [segment.field(16).component(1).text for segment in (picture, page)] == ["dr.test", "dr.test"]
        assert Image.open(BytesIO(decoded(picture))).format == "JPEG"
        assert decoded(page).startswith(b"%PDF-")


def test_the_picture_is_that_of_the_archive_with_its_caption() -> None:
    """REQ-OUT-30: what a viewer shows and what the EMR shows are one drawing, signed or not."""
    signed, draft = told(), told(Status.UNVERIFIED)

    for telling, other in ((signed, draft), (draft, signed)):
        [picture, _] = said_by(telling)["oru"]
        [drawn] = attachments._drawn_by_number(telling).values()
        [not_that] = attachments._drawn_by_number(other).values()
        assert shows(decoded(picture), drawn)
        assert as_jpeg(not_that) != decoded(picture)


def test_an_unsigned_page_says_so_first_and_at_its_foot() -> None:
    """REQ-OUT-30: never a document that could be taken for a signed one."""
    draft, signed = told(Status.UNVERIFIED), told()

    first = [next(iter(report_page.lines_of(telling))) for telling in (draft, signed)]

    assert first[0] == UNCONFIRMED[Language.VIETNAMESE]
    assert first[1].startswith("Người ký: BÁC SĨ THỬ (dr.test)")


def test_a_page_names_no_identifier_that_its_receiver_does_not_get() -> None:
    """REQ-OUT-21: what is left out of PID-3 is left out of the picture of the text too."""
    citizen = PatientIdentifier(id_number="001070000001", assigning_authority="VNBCA", identifier_type_code="NI")
    record = PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="MR")
    document = a_signed_imaged_document(patient=a_patient(identifiers=(record, citizen)))
    destination = a_destination(attachments=BOTH, template={"withhold_identifiers": ["NI"]})

    text = "\n".join(report_page.lines_of(a_telling(document, destination)))

    assert (record.id_number in text, citizen.id_number in text) == (True, False)


def test_rendering_twice_gives_the_same_bytes() -> None:
    """REQ-ONE-05: the page's date is the signature's, not the clock's."""
    once, again = ([m.message for _, m in written(told())] for _ in range(2))

    assert once == again


def test_a_pointer_names_the_case_and_nobody() -> None:
    """REQ-OUT-31: RP to our own page (2.A.66), where who opens it signs in."""
    [pointer] = said_by(told(setting={"attach": "pointer", "page_url": PAGE}))["oru"]

    assert pointer.field(2).text == "RP"
    assert [pointer.field(5).component(part).text for part in (1, 2, 3, 4)] == [
        f"{PAGE}/case/{CASE_ID}",
        "OVERREAD",
        "TEXT",
        "HTML",
    ]
    assert not needs_images(a_destination(attachments={"attach": "pointer", "page_url": PAGE}))


@pytest.mark.parametrize(("over_cap", "kinds"), [("pointer", ["RP", "ED"]), ("omit", ["ED"])])
def test_what_is_larger_than_the_receiver_takes(over_cap: str, kinds: Sequence[str]) -> None:
    """REQ-OUT-31: by setting it is an address with a note why, or nothing."""
    setting = BOTH | {"largest_bytes": 30_000, "over_cap": over_cap, "page_url": PAGE}
    telling = told(setting=setting)

    [message] = [m.message for _, m in written(telling) if m.form == "oru"]

    assert [segment.field(2).text for segment in said_by(telling)["oru"]] == kinds
    assert (attachments.TOO_LARGE[Language.VIETNAMESE] in message.decode()) is (over_cap == "pointer")


@pytest.mark.parametrize("placed", ["last", "after_text"])
def test_attachments_stand_where_the_template_has_them(placed: str) -> None:
    """REQ-OUT-30: under the receiver's own codes, before or after the findings."""
    setting = BOTH | {"placed": placed, "picture_code": "55113-5^Key images^LN", "document_type": "Application"}
    telling = told(setting=setting)

    [message] = [m for form, m in written(telling) if m.form == "oru" and not list(form.unlike(m, telling))]

    codes = [segment.field(3).component(1).text for segment in tokenise(message.message).segments("OBX")]
    first = codes.index("55113-5")
    assert codes[first : first + 2] == ["55113-5", "18748-4"]
    assert (first == 2, first + 2 == len(codes)) == (placed == "after_text", placed == "last")


def test_a_correction_takes_back_the_picture_of_what_it_no_longer_states() -> None:
    """REQ-OUT-30: D without a value, under the same code and sub-ID, so that the receiver shows the old one no more."""
    before = a_signed_imaged_document()
    after = a_signed_imaged_document(report_revision=2, findings=(), conclusion="Không thấy gì.")
    telling = told(Status.CORRECTED, document=after, previous=before, imaging=replace(some_imaging(), segmentations=()))

    page, picture = said_by(telling)["oru"]

    assert (page.field(11).text, page.field(2).text) == ("C", "ED")
    assert (picture.field(3).component(1).text, picture.field(4).text) == ("113000", "1")
    assert (picture.field(11).text, picture.field(2).text, picture.field(5).text) == ("D", "", "")


@pytest.mark.parametrize(("is_wrong_patient", "letter"), [(True, "W"), (False, "D")])
def test_a_withdrawal_shows_nothing_and_takes_back_each(*, is_wrong_patient: bool, letter: str) -> None:
    """REQ-OUT-30: as its findings."""
    withdrawn = a_signed_imaged_document(
        withdrawal=Withdrawal(reason="Nhầm.", is_wrong_patient=is_wrong_patient), findings=()
    )
    telling = told(Status.WITHDRAWN, document=withdrawn, previous=a_signed_imaged_document())

    messages = said_by(telling)

    for segments in messages.values():
        assert [(segment.field(2).text, segment.field(11).text) for segment in segments] == [("", letter)] * 2


def test_a_cancelled_draft_takes_back_its_picture() -> None:
    """REQ-OUT-30: X, as of the whole."""
    segments = said_by(told(Status.CANCELLED))["oru"]

    assert [(segment.field(2).text, segment.field(11).text) for segment in segments] == [("", "X")] * 2


def test_without_its_images_a_result_leaves_without_a_picture() -> None:
    """REQ-OUT-30: the words are what was signed; the picture is beside them."""
    [page] = said_by(told(imaging=None))["oru"]

    assert page.field(5).component(3).text == "PDF"


async def test_a_picture_is_made_of_the_studys_images_where_a_receiver_gets_one() -> None:
    """REQ-OUT-30: read for who gets pictures and for nobody else; one image that can't be read costs the picture alone."""
    document = a_signed_imaged_document()
    stored: Any = the_objects()
    broken: Any = BrokenObjects()

    read = await images_for(StudyImages(stored), document, [a_destination(attachments=BOTH)])
    unread = await images_for(StudyImages(stored), document, [a_destination(attachments=BOTH | {"what": ["pdf"]})])
    unreadable = await images_for(StudyImages(broken), document, [a_destination(attachments=BOTH)])

    assert read is not None
    assert (len(read.segmentations), unread, unreadable) == (1, None, None)


class BrokenObjects:
    """A store that answers, and whose every object is on a bad sector."""

    def read(self, _key: str) -> bytes:
        raise ObjectUnreadable("an object can't be read, although its store answers")


def test_the_gate_holds_a_picture_that_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-OUT-30, REQ-REV-03: digest and drawing are compared with what the signed report makes."""
    request, known = (
        a_release_request(a_signed_imaged_document()),
        some_circumstances(
            case=an_imaged_case(), destinations=(a_destination(attachments=BOTH),), imaging=some_imaging()
        ),
    )
    honest = gate.check(request, known)
    other = as_jpeg(next(iter(attachments._drawn_by_number(told(Status.UNVERIFIED)).values()))[:-40])

    def changed(telling: Telling[Any]) -> tuple[Attachment, ...]:
        first, *others = attachments_of(telling)
        return (replace(first, content=other), *others)

    monkeypatch.setattr("overread.delivery.oru_form.attachments_of", changed)
    verdict = gate.check(request, known)
    monkeypatch.setattr("overread.delivery.attachments.attachments_of", changed)
    drawn_wrongly = gate.check(request, known)

    assert isinstance(honest, Released)
    assert isinstance(verdict, Held)
    assert "attachments" in verdict.reason
    assert isinstance(drawn_wrongly, Held)
    assert "pictures" in drawn_wrongly.reason


def test_nothing_is_attached_by_default() -> None:
    """REQ-OUT-30: a receiver that was not asked gets what it got before."""
    telling = a_telling(a_signed_imaged_document(), imaging=some_imaging())

    [(_, message)] = written(telling)

    assert attached(message.message) == []
    assert not needs_images(a_destination())
    assert Media.PDF not in {attachment.media for attachment in attachments_of(telling)}


@pytest.mark.parametrize(
    "entry",
    [
        'attach = "pointer"',
        'attach = "embedded"\nover_cap = "pointer"',
        'attach = "pointer"\npage_url = "https://somebody@overread"',
        'attach = "pointer"\npage_url = "overread.bvx.example"',
        'attach = "embedded"\nwhat = []',
        'attach = "embedded"\nwhat = ["dicom"]',
        'attach = "embedded"\npicture_code = "18748-4^Diagnostic imaging study^LN"',
        'attach = "embedded"\npicture_code = "113014^DICOM Study^DCM"',
        'attach = "embedded"\ndocument_code = "59776-5^Procedure findings^LN"',
        'attach = "embedded"\nlargest_bytes = 10',
    ],
)
def test_a_setting_that_can_not_be_used_stops_at_once(entry: str) -> None:
    """REQ-OUT-31: an address without a page, or a code that is another thing's, is found at start."""
    with pytest.raises(DestinationsRefused):
        parse(LISTED.format(entry=entry), site_id="site")
