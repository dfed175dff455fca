"""Stored messages out to one destination, one at a time, whatever its kind: each resend is the same bytes.

The receiver's word ends a message only when it names a fault of its content; a receiver that is away, or that refuses
without saying why, never does.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from overread.contracts.errors import Unavailable
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.breaker import Breaker, BreakerState
from overread.delivery.large_messages import ObjectsAway
from overread.delivery.refusals import Treatment
from overread.delivery.store import OutboundRow, Why
from overread.runtime.clock import utc_now
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.telemetry import DELIVERIES_POSTPONED, DESTINATION_AWAY, DESTINATION_BREAKER, log

LONGEST_RECEIVER_TEXT = 300

BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class NoAnswer(Unavailable):
    """The destination took the message or part of it, and did not say what became of it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The destination has the message and answers for it."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The destination would not have it; `is_content_fault` when the same bytes are refused again.

    `by_policy` is what the destination's own table says of such an answer, None where it says nothing.
    """

    why: Why
    is_content_fault: bool
    by_policy: Treatment | None = None

    @property
    def treatment(self) -> Treatment:
        """Return what becomes of the message."""
        return self.by_policy or (Treatment.GIVE_UP if self.is_content_fault else Treatment.RETRY)


Answer = Taken | NotTaken


class Channel(Protocol):
    """A way to one destination, by the protocol of its kind."""

    @property
    def destination(self) -> str:
        """Return the destination's name."""

    async def connect(self) -> None:
        """Be ready to send, or raise `Unavailable`."""

    async def exchange(self, row: OutboundRow) -> Answer:
        """Send the row's bytes and return what the destination says; `Unavailable` when it says nothing."""

    async def idle(self) -> None:
        """Hold nothing that the destination would miss while there is nothing to send."""

    async def close(self) -> None:
        """Leave; an answer that still comes is nobody's."""


class Outbox(Protocol):
    """The rows of one destination, as the sender sees them."""

    async def next_row(self) -> OutboundRow | None:
        """Return the message that is due, None when there is none."""

    async def with_message(self, row: OutboundRow) -> OutboundRow:
        """Return the row with its bytes, where it does not hold them itself."""

    async def mark_sending(self, row: OutboundRow) -> bool:
        """Keep that it is about to leave; False when it must not leave any more."""

    async def postpone(self, row: OutboundRow, delay: timedelta, why: Why) -> None:
        """Keep that it was not taken and when it is due again."""

    async def hold(self, row: OutboundRow, why: Why) -> None:
        """Keep that it waits for an operator's word, and what is behind it in its case with it."""

    async def is_overtaken(self, row: OutboundRow) -> bool:
        """Say whether a later message of the same report waits behind it."""

    async def end(self, row: OutboundRow, outcome: DeliveryOutcome, why: Why) -> None:
        """Keep how it ended, and say so to the other services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait: for a connection, for an answer, and between tries."""

    connect_seconds: float
    acknowledgment_seconds: float
    first_retry_seconds: float
    longest_retry_seconds: float
    longest_refusal_seconds: float
    idle_seconds: float = 0.5

    def delay(self, failures: int, jitter: float) -> float:
        """Return the pause after so many failures in a row; `jitter` in 0..1 spreads it over its upper half."""
        return self._doubled(failures, self.longest_retry_seconds) * (0.5 + 0.5 * jitter)

    def delay_after_refusal(self, row: OutboundRow, jitter: float) -> float:
        """Return the pause before a refused message is tried again; an unread result, that others wait for, soon."""
        longest = self.longest_refusal_seconds if row.status.is_signed else self.longest_retry_seconds
        return self._doubled(row.attempts + 1, longest) * (0.5 + 0.5 * jitter)

    def _doubled(self, failures: int, longest: float) -> float:
        return float(min(self.first_retry_seconds * 2.0 ** min(max(failures - 1, 0), 30), longest))


async def _keep_nothing(_breaker: Breaker) -> None:
    """Tell nobody how the way is."""


class Sender:
    """Sends the rows of one destination, in the order of each case, for ever.

    `keep` is told how the way to the destination is, at the start and whenever it opens or closes.
    """

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        patience: Patience,
        *,
        jitter: Callable[[], float],
        breaker: Breaker | None = None,
        keep: Callable[[Breaker], Awaitable[None]] = _keep_nothing,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._channel = channel
        self._outbox = outbox
        self._patience = patience
        self._jitter = jitter
        self._breaker = breaker or Breaker()
        self._keep = keep
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for rows now."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            await self._keep(self._breaker)
            while True:
                self._woken.clear()
                row = await self._outbox.next_row()
                if row is None:
                    await self._rest()
                else:
                    await self._send_or_put_off(row)
        finally:
            await self._channel.close()

    async def _rest(self) -> None:
        await self._channel.idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.idle_seconds):
                await self._woken.wait()

    async def _send_or_put_off(self, row: OutboundRow) -> None:
        failed = await or_any_defect(self._send_or_wait(row), delivery_id=str(row.delivery_id))
        if isinstance(failed, Defect):
            await self._channel.close()
            delay = timedelta(seconds=self._patience.longest_retry_seconds)
            await self._outbox.postpone(row, delay, Why(reason=f"a defect of our own ({failed.name})"))

    async def _send_or_wait(self, row: OutboundRow) -> None:
        await self._now_is(self._breaker.probing(self._clock()))
        try:
            await self._channel.connect()
        except Unavailable as away:
            await self._back_off(away)
            return
        try:
            whole = await self._outbox.with_message(row)
        except ObjectsAway as away:
            await self._put_aside_for_now(row, away)
            return
        if not await self._outbox.mark_sending(row):
            log.warning("message_has_ended_meanwhile", delivery_id=str(row.delivery_id))
            return
        try:
            answer = await self._channel.exchange(whole)
        except Unavailable as away:
            await self._channel.close()
            await self._outbox.postpone(row, self._delay(row.attempts + 1), Why(reason=str(away)))
            await self._back_off(away)
            return
        await self._answered()
        await self._end(row, answer)

    async def _put_aside_for_now(self, row: OutboundRow, away: ObjectsAway) -> None:
        """Let the other cases' messages pass one whose bytes can't be read now; the destination answers all the same."""
        log.warning("message_not_at_hand", delivery_id=str(row.delivery_id), reason=str(away))
        delay = timedelta(seconds=self._patience.longest_retry_seconds)
        await self._outbox.postpone(row, delay, Why(reason=str(away)))

    def _delay(self, failures: int) -> timedelta:
        return timedelta(seconds=self._patience.delay(failures, self._jitter()))

    async def _back_off(self, away: Unavailable) -> None:
        name, failed = self._channel.destination, self._breaker.failed(str(away), self._clock())
        DESTINATION_AWAY.labels(name).set(1)
        if not failed.is_open:
            log.warning("destination_away", destination=name, reason=str(away), failures=failed.failures)
        await self._now_is(failed)
        await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Return how long nothing is tried: while the breaker is open until the next probe."""
        if self._breaker.is_open:
            return self._breaker.probe_seconds
        return self._delay(self._breaker.failures).total_seconds()

    async def _answered(self) -> None:
        if self._breaker.failures:
            log.info("destination_answers", destination=self._channel.destination)
            await self._now_is(self._breaker.answered(self._clock()))
        DESTINATION_AWAY.labels(self._channel.destination).set(0)

    async def _now_is(self, breaker: Breaker) -> None:
        """Go on with the breaker as it is now; what operators see of it changes with its state."""
        before, self._breaker = self._breaker, breaker
        if breaker.state is before.state:
            return
        name = self._channel.destination
        DESTINATION_BREAKER.labels(name).set(BREAKER_VALUES[breaker.state])
        if breaker.is_open and before.state is BreakerState.CLOSED:
            log.error("destination_left_alone", destination=name, reason=breaker.reason, failures=breaker.failures)
        await self._keep(breaker)

    async def _end(self, row: OutboundRow, answer: Answer) -> None:
        if isinstance(answer, Taken):
            await self._outbox.end(row, DeliveryOutcome.ACKNOWLEDGED, Why())
        elif await self._is_hopeless(row, answer):
            log.error("message_refused", **_said(row, answer))
            await self._outbox.end(row, DeliveryOutcome.GIVEN_UP, answer.why)
        elif answer.treatment is Treatment.HOLD:
            log.error("message_held", **_said(row, answer))
            await self._outbox.hold(row, answer.why)
        else:
            await self._put_off(row, answer)

    async def _is_hopeless(self, row: OutboundRow, answer: NotTaken) -> bool:
        """Say whether it is to be given up, or is an unread result that would hold back what follows."""
        if answer.treatment is Treatment.GIVE_UP:
            return True
        return not row.status.is_signed and await self._outbox.is_overtaken(row)

    async def _put_off(self, row: OutboundRow, answer: NotTaken) -> None:
        seconds = self._patience.delay_after_refusal(row, self._jitter())
        log.warning(
            "message_refused_for_now", attempts=row.attempts + 1, seconds=round(seconds, 1), **_said(row, answer)
        )
        DELIVERIES_POSTPONED.labels(row.destination).inc()
        await self._outbox.postpone(row, timedelta(seconds=seconds), answer.why)


def _said(row: OutboundRow, answer: NotTaken) -> dict[str, str]:
    return {"destination": row.destination, "delivery_id": str(row.delivery_id), "refusal": answer.why.reason}


def receiver_text(*texts: str) -> str:
    """Return the receiver's own words as one line of bounded length; they stay in the row, since they may name somebody."""
    return " ".join(" ".join(texts).split())[:LONGEST_RECEIVER_TEXT]
