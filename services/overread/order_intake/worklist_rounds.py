"""One round of a worklist: what is new or reads differently is kept; what was kept before, also before a restart, is not.

A message id holds what the order is known by, the digest of what is said, and that of the message id before it: a chain.
Asked again after a crash it is the same id, and what is cancelled, listed and cancelled again is told each time, however
often: the same words after the same words are another link of the chain.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.contracts.events.order_statements import OrderAction, OrderForm, OrderReceived, OrderStatement
from overread.order_intake.folder_rounds import Keep
from overread.order_intake.worklist_orders import ListedOrder, UnusableItem, orders_of
from overread.order_intake.worklist_query import Worklist
from overread.order_intake.worklist_settings import WorklistLink
from overread.protocols.dicom.modality_worklist import Question
from overread.runtime.clock import Clock
from overread.runtime.telemetry import ORDER_SOURCE_ITEMS, log

KEPT_AT_ONCE = 100
MEDIA_TYPE = "application/dicom"
GONE = b"the worklist names this order no more"
ENDED = frozenset({OrderAction.CANCEL, OrderAction.DISCONTINUE, OrderAction.COMPLETE})
MOST_KNOWN_FAULTS = 10_000

Ask = Callable[[Question], Awaitable[Worklist]]


@dataclass(frozen=True, slots=True)
class Said:
    """What was last kept of an order: its message id, by which the next is another one, and on which day."""

    digest: str
    statement: OrderStatement
    message_id: str
    day: date


@dataclass(frozen=True, slots=True)
class News:
    """A statement that is to be kept: of which order, and what its bytes are."""

    key: str
    digest: str
    statement: OrderStatement
    raw: bytes
    media_type: str = MEDIA_TYPE


class WorklistRounds:
    """The rounds of one link, and what it has said of each order of its window."""

    def __init__(self, link: WorklistLink, ask: Ask, keep: Keep, time_zone: tzinfo, clock: Clock) -> None:
        self._link = link
        self._ask = ask
        self._keep = keep
        self._time_zone = time_zone
        self._clock = clock
        self._said: dict[str, Said] = {}
        self._faults: set[tuple[str, str]] = set()

    def recall(self, received: OrderReceived) -> None:
        """Know again what was kept before this start; newest first."""
        key, _, rest = received.message_id.partition(":")
        digest, _, _ = rest.partition(":")
        if received.form is OrderForm.MODALITY_WORKLIST and digest:
            day = self._day_of(received.received_at)
            self._said.setdefault(key, Said(digest, received.statement, received.message_id, day))

    async def round(self) -> str | None:
        """Ask, keep what is new, and return a warning, None when there is none; raise `Unavailable` as asking does."""
        today = self._today()
        worklist = together([await self._ask(question) for question in questions(self._link, today)])
        found = list(orders_of(worklist.items, self._link, self._time_zone))
        unusable = [one for one in found if isinstance(one, UnusableItem)]
        listed = [one for one in found if isinstance(one, ListedOrder)]
        keys = {order.key for order in found}
        await self._keep_news([*self._news(listed), *self._gone(keys, worklist, today)], len(listed))
        self._note_faults(unusable, worklist.undecodable)
        self._forget(keys, today)
        return _warning(len(unusable) + worklist.undecodable, worklist, self._link)

    def _today(self) -> date:
        return self._day_of(self._clock())

    def _day_of(self, moment: datetime) -> date:
        return moment.astimezone(self._time_zone).date()

    def _news(self, listed: Sequence[ListedOrder]) -> Iterator[News]:
        for order in listed:
            before = self._said.get(order.key)
            if before is None or before.digest != short(order.digest):
                statement = order.statement.model_copy(update={"action": _action(order.statement.action, before)})
                yield News(order.key, short(order.digest), statement, order.raw)

    def _gone(self, keys: AbstractSet[str], worklist: Worklist, today: date) -> Iterator[News]:
        """Yield a hold for each order of the window's days that a whole answer names no more, if the link wants it."""
        if self._link.disappeared == "ignore" or not worklist.is_complete or worklist.undecodable:
            return
        for key, said in self._said.items():
            is_open = said.statement.action not in ENDED | {OrderAction.HOLD}
            if key not in keys and is_open and self._is_in_window(said.statement.scheduled_at, today):
                held = said.statement.model_copy(update={"action": OrderAction.HOLD})
                yield News(key, "held", held, GONE, "text/plain")

    def _is_in_window(self, moment: datetime | None, today: date) -> bool:
        before, after = timedelta(days=self._link.days_before), timedelta(days=self._link.days_after)
        return moment is not None and today - before <= self._day_of(moment) <= today + after

    async def _keep_news(self, news: Sequence[News], listed: int) -> None:
        for first in range(0, len(news), KEPT_AT_ONCE):
            begun = [asyncio.ensure_future(self._keep_one(one)) for one in news[first : first + KEPT_AT_ONCE]]
            try:
                await asyncio.gather(*begun)
            finally:
                await asyncio.gather(*begun, return_exceptions=True)  # none goes on when the round has ended
        kept = len(news)
        for outcome, count in (("kept", kept), ("unchanged", max(listed - kept, 0))):
            ORDER_SOURCE_ITEMS.labels(self._link.link_id, outcome).inc(count)
        if kept:
            log.info("worklist_taken", link=self._link.link_id, kept=kept, listed=listed)

    async def _keep_one(self, news: News) -> None:
        message_id = self._message_id(news)
        try:
            await self._keep(
                news.statement,
                news.raw,
                form=OrderForm.MODALITY_WORKLIST,
                media_type=news.media_type,
                link_id=self._link.link_id,
                message_id=message_id,
            )
        except Malformed as fault:
            self._note_faults([UnusableItem(news.key, type(fault).__name__)], 0)
        self._said[news.key] = Said(news.digest, news.statement, message_id, self._today())

    def _message_id(self, news: News) -> str:
        """Return the next id of an order's chain; the first is of its day."""
        before = self._said.get(news.key)
        previous = short(codec.sha256(before.message_id.encode())) if before else f"{self._today():%Y%m%d}"
        return f"{news.key}:{news.digest}:{previous}"

    def _note_faults(self, unusable: Sequence[UnusableItem], undecodable: int) -> None:
        """Log each fault once, by a digest: the item comes again with every answer until the RIS mends it."""
        if len(self._faults) > MOST_KNOWN_FAULTS:
            self._faults.clear()
        for item in unusable:
            if (item.key, item.reason) not in self._faults:
                self._faults.add((item.key, item.reason))
                ORDER_SOURCE_ITEMS.labels(self._link.link_id, "refused").inc()
                log.warning("worklist_item_refused", link=self._link.link_id, item=item.key[:16], reason=item.reason)
        if undecodable:
            log.warning("worklist_items_undecodable", link=self._link.link_id, count=undecodable)

    def _forget(self, keys: AbstractSet[str], today: date) -> None:
        """Forget what the worklist names no more once its day is over; never on the day on which it was said.

        A chain that begins anew on a later day has other ids.
        """
        first = today - timedelta(days=self._link.days_before + 1)
        self._said = {
            key: said
            for key, said in self._said.items()
            if key in keys
            or said.day >= today
            or ((at := said.statement.scheduled_at) is not None and self._day_of(at) >= first)
        }


def questions(link: WorklistLink, today: date) -> Iterator[Question]:
    """Yield the questions of one round: the link's window of days, so many at once as the link says."""
    first, last = today - timedelta(days=link.days_before), today + timedelta(days=link.days_after)
    step = timedelta(days=(link.days_at_once or (last - first).days + 1) - 1)
    while first <= last:
        yield Question(
            first_day=first,
            last_day=min(first + step, last),
            modality=link.modality,
            scheduled_station_ae_title=link.scheduled_station_ae_title,
            charset=link.charset,
        )
        first += step + timedelta(days=1)


def short(digest: str) -> str:
    """Return what a message id holds of a digest."""
    return digest[:32]


def _action(listed: OrderAction, before: Said | None) -> OrderAction:
    """Say what is done: one that was held by us is released, one that we saw end and is listed again is opened."""
    if before is None or listed is not OrderAction.CHANGE:
        return listed
    if before.statement.action is OrderAction.HOLD:
        return OrderAction.RELEASE
    return OrderAction.NEW if before.statement.action in ENDED else listed


def together(worklists: Sequence[Worklist]) -> Worklist:
    """Return the answers to one round's questions as one."""
    return Worklist(
        items=tuple(item for worklist in worklists for item in worklist.items),
        undecodable=sum(worklist.undecodable for worklist in worklists),
        is_complete=all(worklist.is_complete for worklist in worklists),
    )


def _warning(refused: int, worklist: Worklist, link: WorklistLink) -> str | None:
    if not worklist.is_complete:
        return f"the answer was cut off at {len(worklist.items)} items, by maximum_items or question_seconds"
    return (
        f"{refused} items of the worklist can't be taken: overread orders worklist --link {link.link_id}"
        if refused
        else None
    )
