"""What a reconciler asks of the desk: pages of it, candidates with their scores, an order and a study side by side."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from uuid import UUID

from overread.assembly import audit, candidate_store, deciding, decision_store, desk_store, order_store
from overread.assembly.asked import in_utc, without_controls
from overread.assembly.candidates import WORTH_SHOWING, OrderSide, Score, StudySide, score
from overread.assembly.desk_views import (
    CandidatesView,
    CandidateView,
    EntryView,
    PageView,
    PairView,
    decision_view,
    entry_view,
    order_view,
    reason_views,
    study_view,
)
from overread.assembly.door import NotFound
from overread.contracts.errors import Malformed
from overread.runtime.inbox import Transaction

MOST_SHOWN = 12


class Desk:
    """The desk as one person is shown it; who looks at a patient is recorded."""

    def __init__(self, tx: Transaction, time_zone: tzinfo, actor: str) -> None:
        self._tx = tx
        self._time_zone = time_zone
        self._actor = actor

    async def page(self, kind: str, *, after: str, limit: int) -> PageView:
        """Return a page of one kind of entries; no patient is in it."""
        place = _place(after, kind) if after else None
        found = await desk_store.entries(
            self._tx.connection, self._tx.site_id, kind, after=place, now=self._tx.clock(), limit=limit + 1
        )
        shown: list[EntryView] = [entry_view(entry) for entry in found[:limit]]
        more = _cursor(shown[-1]) if len(found) > limit else ""
        return PageView(items=shown, next=more)

    async def pair(self, case_id: UUID, order_id: UUID) -> PairView:
        """Return an order and a study side by side, with what was decided about them."""
        pair = await deciding.held_pair(self._tx, case_id, order_id)
        study = await self._study(case_id)
        order = await candidate_store.order_side(self._tx, self._tx.site_id, pair.stored)
        compared = self._score(order, study)
        self._looked("order", order_id, case_id)
        return PairView(
            order=order_view(order),
            study=study_view(case_id, study),
            score=compared.points,
            reasons=reason_views(compared),
            is_linked=pair.is_linked,
            conflict=pair.conflict,
            verdict=pair.verdict,
            version=pair.version,
            decisions=[decision_view(one) for one in pair.made],
        )

    async def orders_for(self, case_id: UUID) -> CandidatesView:
        """Return the study with the orders that may be its."""
        study = await self._study(case_id)
        linked = await candidate_store.linked_orders(self._tx, self._tx.site_id, case_id)
        found = await candidate_store.orders_like(self._tx, self._tx.site_id, study)
        held = await decision_store.holding(self._tx.connection, self._tx.site_id, case_id)
        linked_ids = {one.order.order_id for one in linked}
        stored = {one.order.order_id: one for one in (*found, *linked)}
        sides = [await candidate_store.order_side(self._tx, self._tx.site_id, one) for one in stored.values()]
        apart = {order_id for order_id, decision in held.items() if not decision.attaches}
        candidates = [
            self._candidate(
                self._score(side, study),
                order=side,
                is_linked=side.order.order_id in linked_ids,
                is_kept_apart=side.order.order_id in apart,
            )
            for side in sides
        ]
        self._looked("case", case_id, case_id)
        return CandidatesView(order=None, study=study_view(case_id, study), candidates=_best(candidates))

    async def studies_for(self, order_id: UUID) -> CandidatesView:
        """Return the order with the studies that may be its."""
        stored = await order_store.stored_orders(self._tx, self._tx.site_id, [order_id])
        if not stored:
            raise NotFound
        order = await candidate_store.order_side(self._tx, self._tx.site_id, stored[0])
        linked = await candidate_store.linked_cases(self._tx, self._tx.site_id, order_id)
        found = dict.fromkeys((*linked, *await candidate_store.cases_like(self._tx, self._tx.site_id, order)))
        candidates = [await self._study_candidate(order, case_id, is_linked=case_id in linked) for case_id in found]
        self._looked("order", order_id, None)
        return CandidatesView(order=order_view(order), study=None, candidates=_best(candidates))

    async def _study_candidate(self, order: OrderSide, case_id: UUID, *, is_linked: bool) -> CandidateView:
        study = await self._study(case_id)
        place = (self._tx.connection, self._tx.site_id, case_id, order.order.order_id)
        standing = await decision_store.standing(*place)
        return self._candidate(
            self._score(order, study),
            study=(case_id, study),
            is_linked=is_linked,
            is_kept_apart=standing is not None and not standing.attaches,
        )

    def _candidate(
        self,
        compared: Score,
        *,
        is_linked: bool,
        is_kept_apart: bool,
        order: OrderSide | None = None,
        study: tuple[UUID, StudySide] | None = None,
    ) -> CandidateView:
        return CandidateView(
            order=order_view(order) if order else None,
            study=study_view(*study) if study else None,
            score=compared.points,
            reasons=reason_views(compared),
            is_linked=is_linked,
            is_kept_apart=is_kept_apart,
        )

    def _score(self, order: OrderSide, study: StudySide) -> Score:
        return score(order, study, self._time_zone)

    async def _study(self, case_id: UUID) -> StudySide:
        study = await candidate_store.study_side(self._tx, self._tx.site_id, case_id)
        if study is None:
            raise NotFound
        return study

    def _looked(self, object_type: str, object_id: UUID, case_id: UUID | None) -> None:
        audit.record(
            self._tx,
            actor=self._actor,
            action="desk_view",
            object_type=object_type,
            object_id=str(object_id),
            case_id=case_id,
        )


def _best(candidates: Sequence[CandidateView]) -> list[CandidateView]:
    """Return what a person should look at: all that is linked, then the best."""
    shown = [one for one in candidates if one.is_linked or one.score >= WORTH_SHOWING]
    return sorted(shown, key=lambda one: (not one.is_linked, one.is_kept_apart, -one.score))[:MOST_SHOWN]


def _cursor(entry: EntryView) -> str:
    return base64.urlsafe_b64encode(json.dumps([entry.raised_at.isoformat(), entry.subject]).encode()).decode()


def _place(cursor: str, kind: str) -> tuple[datetime, str]:
    try:
        at, subject = json.loads(base64.urlsafe_b64decode(cursor))
        which = without_controls(subject) if kind == desk_store.DOUBT else str(UUID(subject))
        return in_utc(datetime.fromisoformat(at)), which
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise Malformed("this is no page of the desk: begin with the first") from error
