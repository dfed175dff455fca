"""The brain volume model on real scans. The images stay in their folder; only their numbers are known here."""

from pathlib import Path

import pytest

from overread.embedded.stack_thread import StackThread
from overread.inference.applicability import NotApplicable, SeriesSummary, Withheld, judge, summarise
from overread.inference.client import TritonClient
from overread.inference.deidentify import build_request
from overread.inference.postprocessing import findings
from overread.inference.preprocessing import UnreadableSeries, read_series
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from tests.builders.imaging import TOKEN, brain_volume_model

pytestmark = pytest.mark.corpus


def _files(corpus: Path, name: str) -> list[Path]:
    return sorted((corpus / "imaging" / name).rglob("*.dcm"))


def _series(corpus: Path, name: str) -> list[SeriesSummary]:
    """Summarise as routing does, from what intake reads of the headers."""
    by_series: dict[str, list[tuple[object, str]]] = {}
    for path in _files(corpus, name):
        part10 = split(path.read_bytes())
        attributes = read_header([part10.data_set], part10.transfer_syntax_uid).attributes
        by_series.setdefault(attributes.series_instance_uid, []).append((attributes, part10.transfer_syntax_uid))
    return [summarise(instances) for instances in by_series.values()]  # type: ignore[arg-type]


@pytest.mark.stack
async def test_childs_brain_has_the_volume_that_the_authors_own_code_gave(corpus: Path, stack: StackThread) -> None:
    """FNNDSC, a sagittal and oblique MPRAGE in JPEG-LS: 1,469 ml by deepbet's own PyTorch pipeline, within 3 %."""
    model = brain_volume_model()
    series = read_series((path.read_bytes() for path in _files(corpus, "fnndsc-t1")), model.volume)

    async with TritonClient(f"127.0.0.1:{stack.endpoints.ports.triton_grpc}") as triton:
        answer = await triton.infer(model, build_request(model, series.volume, job_token=TOKEN))

    (finding,) = findings(model, answer)
    assert float(finding.value or "nan") == pytest.approx(1469, rel=0.03)


def test_child_is_withheld_for_its_age_and_for_nothing_else(corpus: Path) -> None:
    """The weights are of adults: a child of three is not measured, though the series itself is right."""
    (child,) = _series(corpus, "fnndsc-t1")

    verdict = judge(brain_volume_model(), child)

    assert isinstance(verdict, Withheld)
    assert verdict.reasons == ("the patient's age is outside 18 to 120 years",)


def test_head_ct_is_another_modality_and_under_any_name_no_volume(corpus: Path) -> None:
    """GE head: a CT, tilted, with gaps of 1.08, 4 and 7 mm in one series."""
    (head,) = _series(corpus, "dcm-qa-ct-head")
    mislabelled = SeriesSummary(**(vars(head) | {"modality": "MR", "series_description": "T1 3D"}))

    verdicts = [judge(brain_volume_model(), series) for series in (head, mislabelled)]

    assert isinstance(verdicts[0], NotApplicable)
    assert isinstance(verdicts[1], Withheld)
    with pytest.raises(UnreadableSeries, match="uneven"):
        read_series((path.read_bytes() for path in _files(corpus, "dcm-qa-ct-head")), brain_volume_model().volume)


@pytest.mark.parametrize("name", ["acrin-petct", "ny-sbu-ct-slices"])
def test_chests_of_adults_are_never_asked_about(corpus: Path, name: str) -> None:
    """Another organ by another modality."""
    verdicts = [judge(brain_volume_model(), series) for series in _series(corpus, name)]

    assert verdicts
    assert all(isinstance(verdict, NotApplicable) for verdict in verdicts)
