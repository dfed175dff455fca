"""Work outside a consumption that may meet a bug of ours: the bug becomes a value, and the caller decides."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from overread.contracts.errors import OverreadError, Unavailable
from overread.runtime.telemetry import log

T = TypeVar("T")


@dataclass(frozen=True)
class Defect:
    """Something failed for a reason that nobody foresaw; `name` is the error's class, never its text."""

    name: str


async def or_defect(work: Awaitable[T], **ids: str) -> T | Defect:
    """Return what `work` returns, or a `Defect` logged with `ids`; errors that explain themselves pass through."""
    try:
        return await work
    except OverreadError:
        raise
    except Exception as error:  # noqa: BLE001 - one study that can't be handled must not stop the others
        log.exception("defect", **ids)
        return Defect(type(error).__name__)


async def or_any_defect(work: Awaitable[T], **ids: str) -> T | Defect:
    """Return what `work` returns, or a logged `Defect` whatever the error; only `Unavailable` passes through.

    For one item of many that nobody waits for: the item is set aside, and the next one gets its turn.
    """
    try:
        return await or_defect(work, **ids)
    except Unavailable:
        raise
    except OverreadError as fault:
        log.error("defect", reason=str(fault), **ids)
        return Defect(type(fault).__name__)
