"""The links that we fetch orders from, while the service runs: each in a task of its own, as the file says at the moment.

A link that fails waits longer with every failure, and is a warning of its own: the service and the other links go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from overread.contracts.errors import Unavailable
from overread.order_intake import sources
from overread.order_intake.folder_rounds import FolderRounds, Keep
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.sources import Source, SourcesRefused
from overread.order_intake.worklist_query import WorklistQuery
from overread.order_intake.worklist_rounds import WorklistRounds
from overread.runtime.clock import Clock
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import ORDER_SOURCE_AWAY, log

POLL_SECONDS = 1.0
"""How often the file is looked at; it is used once it has stayed the same for one look more, and so is never half."""

SOURCES = "/sources"
"""Where the service says on its own socket how each link is."""

FOLDER_RETRY_SECONDS, LONGEST_FOLDER_RETRY_SECONDS = 5.0, 60.0
DEFECT = "a defect of ours stopped the last round: the log has it; it is tried again"


class Rounds(Protocol):
    """What a link does again and again."""

    async def round(self) -> str | None:
        """Take what is there; return a warning or None, raise `Unavailable` when there is nothing to be had."""

    def close(self) -> None:
        """Let go what is held."""


@dataclass(slots=True)
class LinkState:
    """How a link is: its last round that went well, failures in a row since, and what it warns of."""

    source: Source
    last_round_at: datetime | None = None
    failures: int = 0
    warning: str | None = None

    def view(self) -> Mapping[str, Any]:
        """Return it for who asks on the service's socket; nothing of a patient is in it."""
        kind = "folder" if isinstance(self.source, FolderLink) else "worklist"
        at = self.last_round_at.isoformat() if self.last_round_at else None
        return {
            "link": self.source.link_id,
            "kind": kind,
            "last_round_at": at,
            "failures": self.failures,
            "warning": self.warning,
        }


Open = Callable[[Source], Awaitable[Rounds]]


class Sources:
    """Keeps the tasks at what the file says; `fault` is why it can't."""

    def __init__(self, file: Path, open_rounds: Open, clock: Clock) -> None:
        self._file = file
        self._open = open_rounds
        self._clock = clock
        self._seen: str | None = None
        self._done: str | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, LinkState] = {}
        self.fault: str | None = None

    async def run(self) -> None:
        """Follow the file, and run its links, until cancelled."""
        try:
            await self._follow(await asyncio.to_thread(self._text))
            while True:
                await asyncio.sleep(POLL_SECONDS)
                await self.look()
        finally:
            await self._end(list(self._tasks))

    async def look(self) -> None:
        """Follow the file if it says something new and has said so before."""
        seen = await asyncio.to_thread(self._text)
        has_settled, self._seen = seen == self._seen, seen
        if has_settled and seen != self._done:
            await self._follow(seen)

    def warnings(self) -> Mapping[str, str]:
        """Return what each link warns of, by its name."""
        return {f"link {name}": state.warning for name, state in self._states.items() if state.warning}

    def view(self) -> Sequence[Mapping[str, Any]]:
        """Return how each link is."""
        return [state.view() for state in self._states.values()]

    async def _follow(self, text: str | None) -> None:
        self._done = self._seen = text
        try:
            wanted = await asyncio.to_thread(sources.load, self._file)
        except SourcesRefused as refused:
            if str(refused) != self.fault:
                log.error("order_links_refused", reason=str(refused), remain=sorted(self._states))
            self.fault = str(refused)
            return
        self.fault = None
        await self._apply(wanted)

    async def _apply(self, wanted: Sequence[Source]) -> None:
        """End what is wanted no more, begin what is new; a link that reads as before is not touched."""
        await self._end([link_id for link_id, state in self._states.items() if state.source not in wanted])
        for source in wanted:
            if source.link_id not in self._tasks:
                state = self._states[source.link_id] = LinkState(source)
                self._tasks[source.link_id] = asyncio.create_task(self._run(state))
        log.info("order_links", links=[source.link_id for source in wanted])

    async def _end(self, ended: Sequence[str]) -> None:
        tasks = [self._tasks.pop(link_id) for link_id in ended]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link_id in ended:
            self._states.pop(link_id, None)

    async def _run(self, state: LinkState) -> None:
        """Run one link until cancelled; what ends it is a defect, after which it is opened anew."""
        while True:
            try:
                await or_any_defect(self._rounds(state), link=state.source.link_id)
                self._note(state, DEFECT, failures=state.failures + 1)
            except Unavailable as away:
                self._note(state, str(away), failures=state.failures + 1)
            await asyncio.sleep(wait_seconds(state.source, state.failures))

    async def _rounds(self, state: LinkState) -> None:
        away = ORDER_SOURCE_AWAY.labels(state.source.link_id)
        rounds = await self._open(state.source)
        try:
            while True:
                await self._round(state, rounds)
                away.set(1 if state.failures else 0)
                await asyncio.sleep(wait_seconds(state.source, state.failures))
        finally:
            rounds.close()

    async def _round(self, state: LinkState, rounds: Rounds) -> None:
        try:
            warning = await or_any_defect(rounds.round(), link=state.source.link_id)
        except Unavailable as away:
            self._note(state, str(away), failures=state.failures + 1)
            return
        if isinstance(warning, Defect):
            self._note(state, DEFECT, failures=state.failures + 1)
            return
        state.last_round_at = self._clock()
        self._note(state, warning, failures=0)

    def _note(self, state: LinkState, warning: str | None, *, failures: int) -> None:
        if warning != state.warning:
            log.warning("order_link", link=state.source.link_id, warning=warning, failures=failures)
        state.warning, state.failures = warning, failures

    def _text(self) -> str | None:
        try:
            return self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


def wait_seconds(source: Source, failures: int) -> float:
    """Return how long a link waits for its next round: its own time, or after failures twice as long with each more."""
    if not failures:
        return source.poll_seconds
    if isinstance(source, FolderLink):
        first, longest = FOLDER_RETRY_SECONDS, LONGEST_FOLDER_RETRY_SECONDS
    else:
        first, longest = source.retry_seconds, source.longest_retry_seconds
    return min(first * 2.0 ** min(failures - 1, 30), longest)


class _Asking:
    """Rounds of a worklist, with the thread that asks."""

    def __init__(self, query: WorklistQuery, rounds: WorklistRounds) -> None:
        self._query, self._rounds = query, rounds

    async def round(self) -> str | None:
        """Ask once."""
        return await self._rounds.round()

    def close(self) -> None:
        """Ask no more."""
        self._query.close()


def opener(
    settings: ServiceSettings, keep: Keep, clock: Clock, recall: Callable[[WorklistRounds, str], Awaitable[None]]
) -> Open:
    """Return what makes a link's rounds; those of a worklist first know again what they said before."""

    async def open_rounds(source: Source) -> Rounds:
        if isinstance(source, FolderLink):
            return FolderRounds(source, keep, settings.time_zone, time.monotonic)
        query = WorklistQuery(source)
        rounds = WorklistRounds(source, query.ask, keep, settings.time_zone, clock)
        await recall(rounds, source.link_id)
        return _Asking(query, rounds)

    return open_rounds
