"""Where folders and worklists hand their statements: kept, or not, as a test wants it."""

from dataclasses import dataclass, field

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.order_statements import OrderForm, OrderStatement


@dataclass
class Keeper:
    """Keeps statements by message id, as the topic and assembly's inbox do; each call is noted."""

    unavailable_after: int | None = None
    refuses: frozenset[str] = frozenset()
    calls: list[str] = field(default_factory=list)
    kept: dict[str, OrderStatement] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)

    async def keep(
        self,
        statement: OrderStatement,
        raw: bytes,
        *,
        form: OrderForm,
        media_type: str,
        link_id: str,
        message_id: str,
    ) -> None:
        """Keep it, or fail as told."""
        if self.unavailable_after is not None and len(self.calls) >= self.unavailable_after:
            raise Unavailable("the event broker does not answer")
        self.calls.append(message_id)
        if statement.placer and statement.placer.number in self.refuses:
            raise Malformed("no")
        self.kept[message_id] = statement
        self.raw[message_id] = raw

    def numbers(self) -> list[str]:
        """Return the placers' numbers of what is kept, in order."""
        return [one.placer.number for one in self.kept.values() if one.placer]
