"""The API of the worklist: a page of rows, and the news that something changed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from overread.contracts.codec import json_bytes, sha256
from overread.contracts.errors import Unavailable
from overread.review import audit, worklist_store
from overread.review.access import Reader, TheDesk
from overread.review.desk import Desk
from overread.review.identity import Identity
from overread.review.problems import RESPONSES
from overread.review.reading import RowView
from overread.review.reading_desk import row_view
from overread.review.worklist import AiKind, Status, folded
from overread.review.worklist_store import Wanted

LOOK_SECONDS = 1.0
STILL_HERE_LOOKS = 15
STREAM_SECONDS = 600.0
"""After this a stream ends and the page opens the next: who may see it is then asked again."""

router = APIRouter(prefix="/api/v1", tags=["worklist"], responses=RESPONSES)


class Counts(BaseModel):
    """How many cases wait for somebody, and how many are done."""

    open: int
    done: int


class WorklistView(BaseModel):
    """One page of the worklist; ask on with `after=next`."""

    items: list[RowView]
    next: str | None
    total: int = Field(description="Rows that the view and its filters have in all.")
    counts: Counts
    version: int = Field(description="It grows with each change of the site's worklist.")


async def wanted_of(
    view: Literal["open", "done", "all"] = "open",
    status: Status | None = None,
    modality: Annotated[str | None, Query(max_length=16)] = None,
    ai: AiKind | None = None,
    q: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(max_length=400)] = None,
) -> Wanted:
    """Return which rows are asked for."""
    return Wanted(
        view=view,
        status=status,
        modality=modality,
        ai_kind=ai,
        text=folded(q),
        limit=limit,
        after=after,
    )


@router.get("/worklist", response_model=WorklistView)
async def show_worklist(
    request: Request, desk: TheDesk, reader: Reader, wanted: Annotated[Wanted, Depends(wanted_of)]
) -> Response | WorklistView:
    """Return rows, STAT first and then the longest waiting; 304 while nothing has changed (RFC 9110, 13.1.2)."""
    reader.must_read()
    async with desk.service.transaction() as tx:
        version = await worklist_store.version(tx.connection, reader.site_id)
        tag = _tag(version, wanted, reader)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})
        rows, total = await worklist_store.found(tx.connection, reader.site_id, wanted)
        is_open, is_done = await worklist_store.counts(tx.connection, reader.site_id)
        audit.record(tx, actor=reader.subject, action="list", object_type="worklist", object_id="")
    shown = WorklistView(
        items=[row_view(row, reader) for row in rows],
        next=rows[-1].cursor if len(rows) == wanted.limit else None,
        total=total,
        counts=Counts(open=is_open, done=is_done),
        version=version,
    )
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    return Response(shown.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/worklist/events", response_class=StreamingResponse)
async def worklist_events(request: Request, desk: TheDesk, reader: Reader) -> StreamingResponse:
    """Tell the worklist's version at once and at each change, as server-sent events (HTML, 9.2)."""
    reader.must_read()
    return StreamingResponse(
        _changes(desk, reader, request), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _changes(desk: Desk, reader: Identity, request: Request) -> AsyncIterator[str]:
    known = -1
    for look in range(int(STREAM_SECONDS / LOOK_SECONDS)):
        version = await _version(desk, reader)
        if version is not None and version != known:
            known = version
            yield f'event: worklist\ndata: {{"version": {version}}}\n\n'
        elif look % STILL_HERE_LOOKS == 0:
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        if await request.is_disconnected():
            return


async def _version(desk: Desk, reader: Identity) -> int | None:
    try:
        async with desk.service.transaction() as tx:
            return await worklist_store.version(tx.connection, reader.site_id)
    except Unavailable:
        return None


def _tag(version: int, wanted: Wanted, reader: Identity) -> str:
    asked = [version, reader.subject, wanted.view, wanted.status, wanted.modality, wanted.ai_kind]
    return f'"{sha256(json_bytes([*asked, wanted.text, wanted.limit, wanted.after]))[:24]}"'
