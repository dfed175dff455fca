"""Notes that take back what was sent."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from overread.protocols.dicom import structured_report
from overread.protocols.dicom.errors import NotRenderable, Unfaithful
from overread.protocols.dicom.rejection_note import RejectionReason, read, render, said_by
from tests.builders.dicom_results import a_rejection_content, an_sr_content, an_sr_reference, changed, items


@pytest.mark.parametrize("reason", RejectionReason)
def test_note_reads_back_as_what_was_rendered(reason: RejectionReason) -> None:
    """Why, what, and who signed where a signature was needed."""
    content = a_rejection_content(reason)

    reading = read(render(content))

    assert reading == said_by(content)
    assert reading.reason is reason


def test_equal_contents_give_equal_bytes() -> None:
    """No clock, no random UID."""
    content = a_rejection_content()

    assert render(content) == render(replace(content))


def test_reports_are_named_as_documents_and_segmentations_as_images() -> None:
    """PS3.3, C.17.6.2: COMPOSITE for what has no pixels."""
    document = dcmread(BytesIO(render(a_rejection_content())))

    kinds = [item.ValueType for item in document.ContentSequence if "ReferencedSOPSequence" in item]

    assert kinds == ["COMPOSITE", "IMAGE"]


def test_quality_note_has_the_modifier_that_its_template_demands() -> None:
    """TID 2010, row 3."""
    modified, plain = (dcmread(BytesIO(render(a_rejection_content(reason)))) for reason in list(RejectionReason)[:2])

    assert len(items(modified, "Document Title Modifier")) == 1
    assert items(plain, "Document Title Modifier") == []


def another_title(document: Dataset) -> None:
    document.ConceptNameCodeSequence[0].CodeValue = "113000"


def no_language(document: Dataset) -> None:
    document.ContentSequence = [item for item in document.ContentSequence if item.ValueType != "CODE"]


@pytest.mark.parametrize("change", [another_title, no_language])
def test_note_that_is_none_of_ours_is_not_read(change: Callable[[Dataset], None]) -> None:
    """A key image selection for a conference rejects nothing."""
    raw = changed(render(a_rejection_content(RejectionReason.PATIENT_SAFETY)), change)

    with pytest.raises(Unfaithful):
        read(raw)


def test_report_is_no_rejection_note() -> None:
    """Another SOP class."""
    with pytest.raises(Unfaithful):
        read(structured_report.render(an_sr_content()))


def test_note_that_forgets_one_object_is_told_apart() -> None:
    """Evidence alone rejects nothing: the content has to name the object."""
    content = a_rejection_content(rejected=(an_sr_reference("sr"), an_sr_reference("sr signed")))

    def forget(document: Dataset) -> None:
        document.ContentSequence.pop()

    assert read(changed(render(content), forget)) != said_by(content)


def test_note_without_objects_is_refused() -> None:
    """It would say nothing."""
    with pytest.raises(NotRenderable):
        render(a_rejection_content(rejected=()))
