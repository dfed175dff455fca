"""The reading view in one call: report, images, models with their limits, segmentations, and what may be done."""

import gzip
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overread.contracts import codec
from overread.contracts.events.inference import Artefact, ArtefactKind, Segment
from overread.embedded.profile import MODELS_FILE
from tests.builders.events import (
    CASE_ID,
    SERIES,
    a_study,
    a_study_ready,
    an_inference_done,
    an_inference_planned,
)
from tests.builders.manifests import a_manifest
from tests.fakes.objects import an_object_store
from tests.fakes.review import OPERATOR, OTHER_READER, READER, RESIDENT, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

LUNG = Segment(
    number=1,
    label="Lung",
    category_code="123037004",
    category_scheme="SCT",
    category_display="Anatomical Structure",
    type_code="39607008",
    type_scheme="SCT",
    type_display="Lung",
)


def a_stored_segmentation() -> tuple[Artefact, bytes]:
    """Return a mask on the second of two images, and its stored bytes."""
    labels = np.zeros((2, 4, 5), dtype=np.uint8)
    labels[1, 2, 3] = 1
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=labels, sop_instance_uids=np.array(["1.2.1", "1.2.2"]))
    content = buffer.getvalue()
    artefact = Artefact(
        kind=ArtefactKind.SEGMENTATION,
        key="site/artefacts/job/lungs.npz",
        digest=codec.sha256(content),
        series_instance_uid=SERIES,
        segments=(LUNG,),
    )
    return artefact, content


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review with one draft whose images and segmentation are stored."""
    objects = an_object_store(tmp_path / "objects")
    manifest = a_manifest().to_bytes()
    artefact, content = a_stored_segmentation()
    await objects.put("site/manifest", [manifest])
    await objects.put(artefact.key, [content])
    study = a_study(manifest_key="site/manifest", manifest_digest=codec.sha256(manifest))
    async with a_review_bench(
        stack.endpoints.dsn("review"), tmp_path, object_root=tmp_path / "objects", models_file=MODELS_FILE
    ) as opened:
        done = an_inference_done(artefacts=(artefact,), artefact_keys=(artefact.key,))
        await opened.hears_of_a_study(a_study_ready(study=study), an_inference_planned(), done)
        yield opened


async def opened(bench: ReviewBench, *, as_user: str = READER) -> dict[str, Any]:
    """Open the report for reading."""
    answer = await bench.ask("open", as_user=as_user)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_one_call_claims_and_shows_everything(bench: ReviewBench) -> None:
    """A normal film is opened by one key: nothing else has to be asked before it is signed."""
    shown = await opened(bench)

    report = shown["report"]
    assert (report["state"], report["claimed_by"], shown["not_signable"]) == ("in_review", READER, None)
    assert "sign" in report["allowed_actions"]
    assert (shown["signing"]["is_fresh"], shown["row"]["claimed_by_me"]) == (True, True)
    assert [finding["labels"]["vi"] for finding in shown["finding_codes"]][-1].startswith("Phát hiện khác")


async def test_images_come_in_viewing_order(bench: ReviewBench) -> None:
    """By instance number within a series."""
    images = (await opened(bench))["images"]

    [series] = images["series"]
    numbers = [instance["instance_number"] for instance in series["instances"]]
    assert (images["are_all"], series["modality"], len(numbers)) == (True, "CT", 72)
    assert numbers == sorted(numbers)


async def test_model_comes_with_what_it_is_not_for(bench: ReviewBench) -> None:
    """Title, version, intended use, limits, and the whole card."""
    [model] = (await opened(bench))["models"]
    async with bench.client() as client:
        card = await client.get(model["card"])
        none = await client.get("/api/v1/models/nobody/1.0.0/card")

    assert (model["name"], model["kind"], model["finding_indexes"]) == ("ct-lung-density", "found", [0])
    assert any("kernel" in limit for limit in model["not_for"])
    assert (card.headers["content-type"], none.status_code) == ("text/markdown; charset=utf-8", 404)


async def test_segmentation_is_served_image_by_image(bench: ReviewBench) -> None:
    """One byte a pixel; 204 where nothing is marked; 404 for what is not there."""
    shown = await opened(bench)
    address = f"/api/v1/reports/{bench.report_id}/segmentations"
    async with bench.client() as client:
        listed = (await client.get(address)).json()["items"]
        frame = await client.get(f"{address}/0/frames/1.2.2", headers={"Accept-Encoding": "identity"})
        packed = await client.get(f"{address}/0/frames/1.2.2", headers={"Accept-Encoding": "gzip"})
        empty = await client.get(f"{address}/0/frames/1.2.1")
        missing = await client.get(f"{address}/1/frames/1.2.1")

    assert [one["segments"][0]["label"] for one in shown["segmentations"]] == ["Lung"]
    assert listed[0]["sop_instance_uids"] == ["1.2.2"]
    assert np.argwhere(np.frombuffer(frame.content, np.uint8).reshape(4, 5)).tolist() == [[2, 3]]
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content in (frame.content, gzip.compress(frame.content, 1))
    assert (empty.status_code, missing.status_code) == (204, 404)


async def test_report_of_another_reader_is_shown_and_not_taken(bench: ReviewBench) -> None:
    """Opening is no error then: it says who has it."""
    await opened(bench, as_user=OTHER_READER)

    shown = await opened(bench)

    assert (shown["report"]["claimed_by"], shown["not_signable"]["kind"]) == (OTHER_READER, "claimed-by-another")
    assert "sign" not in shown["report"]["allowed_actions"]


async def test_who_may_not_sign_opens_without_claiming(bench: ReviewBench) -> None:
    """A resident who looks blocks nobody."""
    shown = await opened(bench, as_user=RESIDENT)
    operator = await bench.ask("open", as_user=OPERATOR)

    assert (shown["report"]["state"], shown["signing"]["may_sign"], operator.status_code) == ("drafted", False, 403)


async def test_missed_finding_and_reasons_are_signed(bench: ReviewBench) -> None:
    """What the models missed stands in the report, with why the reader changed it; the models' own words stay."""
    shown = await opened(bench)
    missed = next(one["finding"] for one in shown["finding_codes"] if one["finding"]["code"] == "36118008")
    stated = [*shown["report"]["document"]["findings"], missed]
    body = {
        "digest": shown["report"]["digest"],
        "verdict": "changed",
        "findings": stated,
        "reasons": ["missed_finding"],
    }

    document = (await bench.ask("sign", body)).json()["document"]

    assert [finding["display"] for finding in document["findings"]] == ["Lung volume", "Pneumothorax"]
    assert (document["verdict_reasons"], len(document["ai_results"][0]["findings"])) == (["missed_finding"], 1)


async def test_case_without_report_is_shown_too(stack: Any, tmp_path: Path) -> None:
    """A study that waits for its models can be looked at."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as bench:
        await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
        async with bench.client() as client:
            shown = (await client.get(f"/api/v1/cases/{CASE_ID}/reading")).json()

    assert (shown["report"], shown["images"], shown["row"]["status"]) == (None, None, "waiting_for_ai")


async def test_segmentation_that_is_not_the_models_is_not_shown(bench: ReviewBench, tmp_path: Path) -> None:
    """The digest in the report names the bytes."""
    artefact, _ = a_stored_segmentation()
    another = io.BytesIO()
    np.savez(another, labels=np.ones((1, 4, 5), dtype=np.uint8), sop_instance_uids=np.array(["1.2.2"]))
    (tmp_path / "objects" / artefact.key).write_bytes(another.getvalue())

    async with bench.client() as client:
        answer = await client.get(f"/api/v1/reports/{bench.report_id}/segmentations/0/frames/1.2.2")

    assert answer.status_code == 422
