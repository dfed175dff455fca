"""Whether a changed schema still serves everybody who wrote or reads the published one.

The rule is "grow by adding": a new field is optional; whatever else changes is a new version beside the old one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_KINDS = ("type", "format", "const", "pattern", "contentEncoding")
_UPPER_BOUNDS = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")
_LOWER_BOUNDS = ("minLength", "minimum", "exclusiveMinimum", "minItems")


def breaking_changes(published: Schema, proposed: Schema) -> tuple[str, ...]:
    """Return what in `proposed` would refuse an event that `published` allows, or lose a field of it; empty is good."""
    return tuple(_Comparison(published, proposed).between(published, proposed, "event"))


class _Comparison:
    """Two documents, each of which resolves its own `$ref`."""

    def __init__(self, published: Schema, proposed: Schema) -> None:
        self._published = published
        self._proposed = proposed

    def between(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """Yield each breaking change at `where` and below."""
        old, new = _resolved(old, self._published), _resolved(new, self._proposed)
        if _alternatives(old) or _alternatives(new):
            yield from self._between_alternatives(old, new, where)
            return
        yield from _changed_kind(old, new, where)
        yield from _narrowed(old, new, where)
        yield from self._between_fields(old, new, where)
        yield from self._between_elements(old, new, where)

    def _between_alternatives(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        new_alternatives = _alternatives(new) or [new]
        for number, alternative in enumerate(_alternatives(old) or [old]):
            faults = [tuple(self.between(alternative, candidate, where)) for candidate in new_alternatives]
            if all(faults):
                yield f"{where}: alternative {number + 1} ({_kind(alternative)}) is no longer taken"

    def _between_fields(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
        for name, field in old_fields.items():
            if name in new_fields:
                yield from self.between(field, new_fields[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: the field was removed"
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{where}.{name}: the field is required now"
        if old.get("additionalProperties", True) is not False and new.get("additionalProperties", True) is False:
            yield f"{where}: unknown fields are refused now"

    def _between_elements(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
            yield from self.between(old["items"], new["items"], f"{where}[]")
        old_places, new_places = old.get("prefixItems", []), new.get("prefixItems", [])
        for place, (before, after) in enumerate(zip(old_places, new_places, strict=False)):
            yield from self.between(before, after, f"{where}[{place}]")


def _resolved(schema: Schema, document: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target: Any = document
    for step in str(reference).removeprefix("#/").split("/"):
        target = target[step]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _alternatives(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [])


def _kind(schema: Schema) -> str:
    return str(schema.get("$ref") or schema.get("format") or schema.get("type") or "any")


def _changed_kind(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for word in _KINDS:
        if word in new and old.get(word) != new[word]:
            yield f"{where}: {word} was {old.get(word)!r} and is {new[word]!r}"
    if "type" in old and "type" not in new and old.get("type") != "null":
        yield f"{where}: the type {old['type']!r} is no longer promised"


def _narrowed(old: Schema, new: Schema, where: str) -> Iterator[str]:
    if "enum" in new and (lost := [value for value in old.get("enum", ["any value"]) if value not in new["enum"]]):
        yield f"{where}: {', '.join(map(str, lost))} is no longer taken"
    for word in _UPPER_BOUNDS:
        if word in new and new[word] < old.get(word, float("inf")):
            yield f"{where}: {word} is {new[word]}, narrower than before"
    for word in _LOWER_BOUNDS:
        if word in new and new[word] > old.get(word, float("-inf")):
            yield f"{where}: {word} is {new[word]}, narrower than before"
