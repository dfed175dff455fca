"""The desk's routes: what a person must decide about, shown to reconcilers alone (docs/desk.md)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from overread.assembly import audit, deciding, decision_store, store
from overread.assembly.asked import PLAIN, Number
from overread.assembly.decisions import Decision, DecisionKind
from overread.assembly.desk_views import CandidatesView, DecisionView, HistoryView, PageView, PairView, decision_view
from overread.assembly.door import RECONCILERS, Asking, Door, Refused
from overread.assembly.reconciling import Desk
from overread.runtime.inbox import Transaction
from overread.runtime.service import Service

MOST_ENTRIES = 100

Limit = Annotated[int, Query(ge=1, le=MOST_ENTRIES)]
Reason = Annotated[str, Field(max_length=500), PLAIN]
Version = Annotated[str, Field(max_length=64), PLAIN]


class CountsView(BaseModel):
    """How much waits for a person, by what it is."""

    kinds: dict[str, int]


class PairRequest(BaseModel):
    """A decision about an order and a study; `version` is that of the pair as it was shown."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["attach", "keep_apart", "detach"]
    case_id: UUID
    order_id: UUID
    version: Version
    reason: Reason = ""
    despite_conflict: bool = False


class DismissRequest(BaseModel):
    """An entry that needs nobody; `entry_reason` is the reason for which it lay there, `version` as it was shown."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(max_length=32), PLAIN]
    subject: Annotated[str, Field(max_length=64), PLAIN]
    case_id: UUID | None = None
    entry_reason: Reason = ""
    version: Version = ""
    reason: Reason


class UndoRequest(BaseModel):
    """A decision that is to hold no more; `version` is that of its pair, empty for a dismissal.

    `despite_conflict` is owed where an order of another patient is attached again by it.
    """

    model_config = ConfigDict(extra="forbid")

    decision_id: UUID
    version: Version = ""
    reason: Reason
    despite_conflict: bool = False


class DeskApi:
    """What a reconciler sees and decides."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._time_zone = service.settings.time_zone

    def router(self, door: Door) -> APIRouter:
        """Return the routes."""
        router = door.router("/desk", RECONCILERS)
        for path, route in (
            ("/counts", self.counts),
            ("/entries", self.entries),
            ("/pairs/{case_id}/{order_id}", self.pair),
            ("/cases/{case_id}", self.orders_for),
            ("/orders/{order_id}", self.studies_for),
            ("/decisions", self.history),
        ):
            router.add_api_route(path, route, methods=["GET"])
        router.add_api_route("/decisions", self.decide, methods=["POST"])
        router.add_api_route("/dismissals", self.dismiss, methods=["POST"])
        router.add_api_route("/undo", self.undo, methods=["POST"])
        return router

    async def counts(self) -> CountsView:
        """Return how many entries wait, by kind."""
        async with self._service.transaction() as tx:
            return CountsView(kinds=await store.desk_counts(tx.connection, tx.site_id))

    async def entries(
        self,
        visitor: Asking,
        kind: Literal["doubt", "no_order", "no_images"] = "doubt",
        after: Annotated[str, Query(max_length=300)] = "",
        limit: Limit = 50,
    ) -> PageView:
        """Return a page of what lies on the desk."""
        async with self._desk(visitor.subject) as desk:
            return await desk.page(kind, after=after, limit=limit)

    async def pair(self, visitor: Asking, case_id: UUID, order_id: UUID) -> PairView:
        """Return an order and a study side by side."""
        async with self._desk(visitor.subject) as desk:
            return await desk.pair(case_id, order_id)

    async def orders_for(self, visitor: Asking, case_id: UUID) -> CandidatesView:
        """Return the orders that may be a study's, best first."""
        async with self._desk(visitor.subject) as desk:
            return await desk.orders_for(case_id)

    async def studies_for(self, visitor: Asking, order_id: UUID) -> CandidatesView:
        """Return the studies that may be an order's, best first."""
        async with self._desk(visitor.subject) as desk:
            return await desk.studies_for(order_id)

    async def history(
        self,
        case_id: UUID | None = None,
        order_id: UUID | None = None,
        before: Annotated[Number | None, Query()] = None,
        limit: Limit = 50,
    ) -> HistoryView:
        """Return what was decided, newest first."""
        async with self._service.transaction() as tx:
            place = {"case_id": case_id, "order_id": order_id, "before": before}
            made = await decision_store.history(tx.connection, tx.site_id, **place, limit=limit)  # type: ignore[arg-type]
        shown = [decision_view(one) for one in made]
        return HistoryView(items=shown, before=shown[-1].number if len(shown) == limit else None)

    async def decide(self, visitor: Asking, asked: PairRequest) -> DecisionView:
        """Attach, keep apart or detach; it holds whatever comes later."""
        wanted = deciding.Asked(**asked.model_dump(exclude={"kind"}), kind=DecisionKind(asked.kind))
        async with self._deciding(visitor.subject, asked.kind, str(asked.order_id)) as tx:
            return await self._kept(tx, await deciding.decide(tx, visitor.subject, wanted, self._time_zone))

    async def dismiss(self, visitor: Asking, asked: DismissRequest) -> DecisionView:
        """Take an entry from the desk, with a reason."""
        seen = {"reason": asked.entry_reason, "version": asked.version}
        entry = deciding.Entry(kind=asked.kind, subject=asked.subject, case_id=asked.case_id, **seen)
        async with self._deciding(visitor.subject, "dismiss", asked.subject) as tx:
            return await self._kept(tx, await deciding.dismiss(tx, visitor.subject, entry, asked.reason))

    async def undo(self, visitor: Asking, asked: UndoRequest) -> DecisionView:
        """Let a decision hold no more: the one before it does again, or what the numbers say."""
        async with self._deciding(visitor.subject, "undo", str(asked.decision_id)) as tx:
            return await self._kept(tx, await self._undone(tx, visitor.subject, asked))

    async def _undone(self, tx: Transaction, actor: str, asked: UndoRequest) -> Decision:
        before = await decision_store.decision_of(tx.connection, tx.site_id, asked.decision_id)
        if before is None or before.case_id is None or before.order_id is None:
            return await deciding.undo_dismissal(tx, actor, asked.decision_id, asked.reason)
        wanted = deciding.Asked(
            kind=DecisionKind.UNDO,
            case_id=before.case_id,
            order_id=before.order_id,
            reason=asked.reason,
            version=asked.version,
            despite_conflict=asked.despite_conflict,
            undoes=asked.decision_id,
        )
        return await deciding.decide(tx, actor, wanted, self._time_zone)

    async def _kept(self, tx: Transaction, decision: Decision) -> DecisionView:
        kept = await decision_store.decision_of(tx.connection, tx.site_id, decision.decision_id)
        return decision_view(kept or decision)

    @asynccontextmanager
    async def _desk(self, actor: str) -> AsyncIterator[Desk]:
        async with self._service.transaction() as tx:
            yield Desk(tx, self._time_zone, actor)

    @asynccontextmanager
    async def _deciding(self, actor: str, kind: str, subject: str) -> AsyncIterator[Transaction]:
        """Open the transaction of a decision; one that is refused is recorded too."""
        try:
            async with self._service.transaction() as tx:
                yield tx
        except Refused as refused:
            async with self._service.transaction() as tx:
                audit.record(
                    tx,
                    actor=actor,
                    action=f"desk_{kind}",
                    object_type="desk",
                    object_id=subject,
                    outcome=audit.REFUSED,
                    detail=refused.kind,
                )
            raise
