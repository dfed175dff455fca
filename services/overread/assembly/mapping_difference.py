"""What an import would change, told before it does. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from overread.assembly.mapping_rows import COLUMNS, Key, MappingRow, in_order


@dataclass(frozen=True)
class Change:
    """A row that reads differently."""

    before: MappingRow
    after: MappingRow

    @property
    def columns(self) -> tuple[tuple[str, str, str], ...]:
        """Return each column that differs, with what it said and says."""
        cells = zip(COLUMNS, self.before.cells(), self.after.cells(), strict=True)
        return tuple((name, old, new) for name, old, new in cells if old != new)


@dataclass(frozen=True)
class Difference:
    """One mapping against another."""

    added: tuple[MappingRow, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[MappingRow, ...] = ()
    unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        """Say whether both are the same."""
        return not (self.added or self.changed or self.removed)

    def keys(self) -> Iterator[Key]:
        """Yield the code of every row that is not as it was."""
        yield from (row.key for row in (*self.added, *self.removed))
        yield from (change.after.key for change in self.changed)

    def sentences(self) -> Iterator[str]:
        """Yield the difference in words, a line a row."""
        yield f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed, {self.unchanged} unchanged"
        yield from (f"added    {named(row.key)}: {_said(row)}" for row in self.added)
        yield from (f"changed  {named(change.after.key)}: {_changed(change)}" for change in self.changed)
        yield from (f"removed  {named(row.key)}: {_said(row)}" for row in self.removed)


def difference(before: Sequence[MappingRow], after: Sequence[MappingRow]) -> Difference:
    """Return what makes `after` of `before`, in the order of the codes."""
    old, new = ({row.key: row for row in rows} for rows in (before, after))
    both = [Change(old[key], new[key]) for key in sorted(old.keys() & new.keys())]
    changed = tuple(change for change in both if change.before != change.after)
    return Difference(
        added=in_order(row for key, row in new.items() if key not in old),
        changed=changed,
        removed=in_order(row for key, row in old.items() if key not in new),
        unchanged=len(both) - len(changed),
    )


def merged(before: Sequence[MappingRow], more: Iterable[MappingRow]) -> tuple[MappingRow, ...]:
    """Return the rows with `more` added; one for the same code takes the place of the old."""
    return in_order({row.key: row for row in (*before, *more)}.values())


def named(key: Key) -> str:
    """Return the code in words."""
    system = f" ({key.system})" if key.system else ""
    return f"{key.kind.value} {key.code}{system} on {f'link {key.link}' if key.link else 'all links'}"


def _said(row: MappingRow) -> str:
    said = zip(COLUMNS, row.cells(), strict=True)
    return ", ".join(f"{name} {cell}" for name, cell in said if cell and name not in Key._fields)


def _changed(change: Change) -> str:
    return ", ".join(f"{name} {old or '(empty)'} -> {new or '(empty)'}" for name, old, new in change.columns)
