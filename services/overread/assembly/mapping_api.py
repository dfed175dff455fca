"""The mapping's routes, for integrators: rows, files, what an import would change, versions, codes that are not mapped."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from overread.assembly import mapping_checks, mapping_files, mapping_making, mapping_store
from overread.assembly.door import INTEGRATORS, Asking, Door
from overread.assembly.mapping_difference import Difference, merged
from overread.assembly.mapping_faults import MOST_TOLD, Fault, Faulty
from overread.assembly.mapping_making import MOST_COUNTED, Change, Made, Moved
from overread.assembly.mapping_rows import Key, Kind, MappingRow
from overread.assembly.mapping_sheets import WORKBOOK_TYPE
from overread.assembly.settings import AssemblySettings
from overread.runtime.service import Service

MOST_VERSIONS = 200
MOST_CHANGED_AT_ONCE = 500


class Form(StrEnum):
    """What a mapping's file may be."""

    CSV = "csv"
    XLSX = "xlsx"


class LinkView(BaseModel):
    """A link that orders came in on, and where its sender keeps the accession number (empty: IPC-1, then OBR-18)."""

    link: str
    accession_places: list[str]


class MappingView(BaseModel):
    """The mapping that counts."""

    version: int
    rows: list[MappingRow]
    links: list[LinkView]
    models: list[str]


class ColumnView(BaseModel):
    """A cell that reads differently."""

    column: str
    before: str
    after: str


class ChangeView(BaseModel):
    """A row that reads differently."""

    row: MappingRow
    columns: list[ColumnView]


class FaultView(BaseModel):
    """What is wrong with a file, and where; `words` are English."""

    row: int
    column: str
    fault: str
    said: str
    words: str


class DifferenceView(BaseModel):
    """What an import would change, or did: `orders` open orders whose study is not read hold one of its codes.

    They follow in the background; `orders_at_least` says that there are more than were counted. `warnings` are of what
    may be meant and is seldom so: it is taken all the same.
    """

    version: int
    added: list[MappingRow] = Field(default_factory=list)
    changed: list[ChangeView] = Field(default_factory=list)
    removed: list[MappingRow] = Field(default_factory=list)
    unchanged: int = 0
    orders: int = 0
    orders_at_least: bool = False
    sentences: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    faults: list[FaultView] = Field(default_factory=list)


class VersionView(BaseModel):
    """One version: who made it, when, out of what; how many orders were told anew, and whether all are."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    made_at: datetime
    made_by: str
    origin: str
    digest: str
    row_count: int
    added: int
    changed: int
    removed: int
    orders_told: int
    is_applied: bool


class UnmappedView(BaseModel):
    """A code that came and that no row names; `example` is the text that came beside the code."""

    model_config = ConfigDict(from_attributes=True)

    kind: Kind
    link: str
    code: str
    system: str
    example: str
    first_seen: datetime
    last_seen: datetime
    count: int


class KeyAsked(BaseModel):
    """A row by what it is known by."""

    kind: Kind
    link: str = ""
    code: str
    system: str = ""


class ChangeAsked(BaseModel):
    """Rows to add or to put in the place of old ones, rows to take out; `base` is the version that was looked at."""

    rows: list[MappingRow] = Field(default_factory=list, max_length=MOST_CHANGED_AT_ONCE)
    removed: list[KeyAsked] = Field(default_factory=list, max_length=MOST_CHANGED_AT_ONCE)
    base: int | None = None


class RollbackAsked(BaseModel):
    """The version to go back to; `base` is the one that was looked at."""

    version: Annotated[int, Field(ge=0, le=2**31 - 1)]
    base: int | None = None


Version = Annotated[int, Query(ge=0, le=2**31 - 1)]


class MappingApi:
    """What an integrator sees and does; `models` are those of the catalogue, None where it is not known here."""

    def __init__(self, service: Service, reach: timedelta, models: frozenset[str] | None) -> None:
        self._service = service
        self._reach = reach
        self._models = models
        self._reading = asyncio.Lock()

    @classmethod
    def of(cls, service: Service) -> "MappingApi":
        """Return the routes of an assembly as its settings have it."""
        settings = service.settings if isinstance(service.settings, AssemblySettings) else AssemblySettings()
        return cls(service, settings.mapping_reach, settings.model_names())

    def router(self, door: Door) -> APIRouter:
        """Return the routes."""
        router = door.router("/mapping", INTEGRATORS)
        router.add_api_route("/rows", self.rows, methods=["GET"])
        router.add_api_route("/unmapped", self.unmapped, methods=["GET"])
        router.add_api_route("/versions", self.versions, methods=["GET"])
        router.add_api_route("/file", self.file, methods=["GET"])
        router.add_api_route("/check", self.check, methods=["POST"])
        router.add_api_route("/import", self.take, methods=["POST"])
        router.add_api_route("/change", self.change, methods=["POST"])
        router.add_api_route("/rollback", self.preview, methods=["GET"])
        router.add_api_route("/rollback", self.roll_back, methods=["POST"])
        return router

    async def rows(self) -> MappingView:
        """Return the mapping that counts, and the links that orders came in on."""
        async with self._service.transaction() as tx:
            mapping = await mapping_store.current(tx, tx.site_id)
            links = await mapping_store.links(tx, tx.site_id)
            return MappingView(
                version=await mapping_store.version_number(tx, tx.site_id),
                rows=list(mapping.rows),
                links=[LinkView(link=link, accession_places=places) for link, places in links.items()],
                models=sorted(self._models or ()),
            )

    async def unmapped(self) -> list[UnmappedView]:
        """Return the codes that came and that no row names, the most frequent first."""
        async with self._service.transaction() as tx:
            mapping = await mapping_store.current(tx, tx.site_id)
            seen = await mapping_store.unmapped(tx, tx.site_id)
        return [UnmappedView.model_validate(one) for one in seen if not mapping.names(one.key)]

    async def versions(self) -> list[VersionView]:
        """Return the newest versions."""
        async with self._service.transaction() as tx:
            made = await mapping_store.versions(tx, tx.site_id, MOST_VERSIONS)
        return [VersionView.model_validate(version) for version in made]

    async def file(self, form: Form = Form.CSV, version: Version | None = None) -> Response:
        """Return the mapping as a file: the one that counts, or an earlier one."""
        async with self._service.transaction() as tx:
            number = await mapping_store.version_number(tx, tx.site_id) if version is None else version
            rows = await mapping_making.rows_at(tx, number)
        write = mapping_files.as_csv if form is Form.CSV else mapping_files.as_workbook
        content = await asyncio.to_thread(write, rows)
        named = {"Content-Disposition": f'attachment; filename="mapping-{number}.{form.value}"'}
        kind = mapping_files.CSV_TYPE if form is Form.CSV else WORKBOOK_TYPE
        return Response(content, media_type=kind, headers=named)

    async def check(self, request: Request, *, whole: bool = False) -> DifferenceView:
        """Return what an import of the body would change, or every fault of it; nothing is changed."""
        try:
            rows = await self._read(request)
        except Faulty as faulty:
            return DifferenceView(version=0, faults=_faults(faulty))
        view = _view(await self._compare(partial(_with, rows=rows, whole=whole)))
        async with self._service.transaction() as tx:
            links = await mapping_store.links(tx, tx.site_id)
        return view.model_copy(update={"warnings": _unknown_links(view, sorted(links))})

    async def take(
        self, request: Request, visitor: Asking, *, whole: bool = False, base: Version | None = None
    ) -> Response:
        """Take the body in: the rows of `whole` are all that is left, else they are added or take old ones' place."""
        try:
            rows = await self._read(request)
        except Faulty as faulty:
            return _refused(faulty)
        made = await self._make(partial(_with, rows=rows, whole=whole), visitor.subject, "import", base)
        return JSONResponse(_view(made).model_dump(mode="json"))

    async def change(self, asked: ChangeAsked, visitor: Asking) -> Response:
        """Add, change or take out single rows."""
        try:
            rows = [mapping_checks.checked(row, self._models) for row in asked.rows]
        except Faulty as faulty:
            return _refused(faulty)
        gone = {Key(key.kind, key.link, key.code, key.system) for key in asked.removed}
        made = await self._make(partial(_edited, rows=rows, gone=gone), visitor.subject, "page", asked.base)
        return JSONResponse(_view(made).model_dump(mode="json"))

    async def preview(self, version: Version) -> DifferenceView:
        """Return what going back to a version would change."""
        return _view(await self._compare(await self._as_at(version)))

    async def roll_back(self, asked: RollbackAsked, visitor: Asking) -> DifferenceView:
        """Let the rows of an earlier version count again, as a new version."""
        change = await self._as_at(asked.version)
        return _view(await self._make(change, visitor.subject, f"back to version {asked.version}", asked.base))

    async def _as_at(self, version: int) -> Change:
        async with self._service.transaction() as tx:
            rows = await mapping_making.rows_at(tx, version)
        return partial(_with, rows=rows, whole=True)

    async def _read(self, request: Request) -> tuple[MappingRow, ...]:
        content = await request.body()
        async with self._reading:  # a large file takes seconds and a hundred megabytes: one at a time
            return await asyncio.to_thread(mapping_files.read, content, models=self._models)

    async def _compare(self, change: Change) -> Made:
        async with self._service.transaction() as tx:
            return await mapping_making.compare(tx, change, self._reach)

    async def _make(self, change: Change, subject: str, origin: str, base: int | None) -> Made:
        compared = await self._compare(change)
        if base is not None and base != compared.version:
            raise Moved
        async with self._service.transaction() as tx:
            return await mapping_making.make(tx, compared, made_by=subject, origin=origin)


def _unknown_links(view: DifferenceView, links: Sequence[str]) -> list[str]:
    """Return a sentence for each link of a new row that no order came in on yet."""
    named = {row.link for row in (*view.added, *(change.row for change in view.changed)) if row.link}
    there_are = f"there are {', '.join(links)}" if links else "no link has sent an order yet"
    return [f"link: no link {name!r} has sent an order here; {there_are}" for name in sorted(named - set(links))]


def _with(now: Sequence[MappingRow], *, rows: Sequence[MappingRow], whole: bool) -> Sequence[MappingRow]:
    return rows if whole else merged(now, rows)


def _edited(now: Sequence[MappingRow], *, rows: Sequence[MappingRow], gone: set[Key]) -> Sequence[MappingRow]:
    return merged([row for row in now if row.key not in gone], rows)


def _view(made: Made) -> DifferenceView:
    told: Difference = made.difference
    return DifferenceView(
        version=made.version,
        added=list(told.added),
        changed=[
            ChangeView(
                row=change.after,
                columns=[ColumnView(column=name, before=old, after=new) for name, old, new in change.columns],
            )
            for change in told.changed
        ],
        removed=list(told.removed),
        unchanged=told.unchanged,
        orders=made.orders,
        orders_at_least=made.orders >= MOST_COUNTED,
        sentences=list(told.sentences()),
    )


def _faults(faulty: Faulty) -> list[FaultView]:
    return [_fault_view(fault) for fault in faulty.faults[:MOST_TOLD]]


def _fault_view(fault: Fault) -> FaultView:
    return FaultView(row=fault.row, column=fault.column, fault=fault.fault, said=fault.said, words=fault.words)


def _refused(faulty: Faulty) -> JSONResponse:
    faults = [fault.model_dump() for fault in _faults(faulty)]
    body = {"type": "urn:overread:problem:mapping-faulty", "status": 422, "detail": str(faulty), "faults": faults}
    return JSONResponse(body, status_code=422, media_type="application/problem+json")
