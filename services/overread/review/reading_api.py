"""The API of the reading view: a case in one call, its segmentations, and the models' cards."""

import gzip
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import PlainTextResponse

from overread.review.access import Reader
from overread.review.problems import RESPONSES
from overread.review.reading import ReadingView, SegmentationList
from overread.review.reading_desk import ReadingDesk
from overread.review.refusals import NotFound

KEPT_BY_THE_BROWSER = "private, max-age=3600, immutable"

router = APIRouter(prefix="/api/v1", tags=["reading"], responses=RESPONSES)


def reading_desk_of(request: Request) -> ReadingDesk:
    """Return the reading desk that the app was built with."""
    desk: ReadingDesk = request.app.state.reading_desk
    return desk


TheReadingDesk = Annotated[ReadingDesk, Depends(reading_desk_of)]


@router.post("/reports/{report_id}/open")
async def open_report(desk: TheReadingDesk, reader: Reader, report_id: UUID) -> ReadingView:
    """Open a report for reading, and claim it in the same call when it is free and one may sign it."""
    return await desk.open(reader, report_id)


@router.get("/reports/{report_id}/reading")
async def read_report(desk: TheReadingDesk, reader: Reader, report_id: UUID) -> ReadingView:
    """Return everything about a report without claiming it."""
    return await desk.show(reader, report_id)


@router.get("/cases/{case_id}/reading")
async def read_case(desk: TheReadingDesk, reader: Reader, case_id: UUID) -> ReadingView:
    """Return everything about a case, also when it has no report yet."""
    return await desk.show_case(reader, case_id)


@router.get("/reports/{report_id}/segmentations")
async def list_segmentations(desk: TheReadingDesk, reader: Reader, report_id: UUID) -> SegmentationList:
    """Return the models' segmentations with the images on which something is marked."""
    return await desk.segmentations(reader, report_id)


@router.get(
    "/reports/{report_id}/segmentations/{index}/frames/{sop_instance_uid}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "One byte a pixel: the segment's number."},
        204: {"description": "Nothing is marked on this image."},
    },
)
async def show_segmentation(
    desk: TheReadingDesk,
    reader: Reader,
    request: Request,
    report_id: UUID,
    index: Annotated[int, Path(ge=0, le=1000)],
    sop_instance_uid: Annotated[str, Path(max_length=64)],
) -> Response:
    """Return what is marked on one image, row by row."""
    segmentation = await desk.segmentation(reader, report_id, index)
    frame = segmentation.frame_of(sop_instance_uid)
    headers = {"Cache-Control": KEPT_BY_THE_BROWSER, "Vary": "Accept-Encoding, Cookie, Authorization"}
    if frame is None:
        return Response(status_code=204, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        frame, headers = gzip.compress(frame, 1), headers | {"Content-Encoding": "gzip"}
    return Response(frame, media_type="application/octet-stream", headers=headers)


@router.get("/models/{name}/{version}/card", response_class=PlainTextResponse, tags=["models"])
async def show_card(desk: TheReadingDesk, reader: Reader, name: str, version: str) -> PlainTextResponse:
    """Return a model's card: what it is for, what it is not for, what was seen."""
    reader.must_read()
    card = (await desk.cards()).get((name, version))
    if card is None:
        raise NotFound("there is no such model")
    return PlainTextResponse(card.text, media_type="text/markdown")
