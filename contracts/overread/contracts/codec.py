"""Bytes to event and back; the only caller of orjson on messages."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError

from overread.contracts.envelope import MAX_EVENT_BYTES, Body, Event
from overread.contracts.errors import Malformed

SPECVERSION = "1.0"

_EVENT_TYPE = re.compile(r"[A-Za-z]{1,40}\.v[0-9]{1,3}")


class UnknownEvent(Malformed):
    """The event's type is not one that its topic declares: the producer is newer than this consumer."""


def encode(event: Event[Body]) -> bytes:
    """Return `event` as JSON, at most 256 KiB; larger content belongs in the object store."""
    return _bounded(_dumps({"specversion": SPECVERSION, **event.model_dump(mode="json")}))


def encode_fields(body: type[Body], data: Mapping[str, object], **envelope: object) -> bytes:
    """Return the event as `encode` would, without building and judging it first: for values that are our own.

    It is for the one path where thousands a second count; a test holds it to what `encode` says.
    """
    wire = {"specversion": SPECVERSION, "type": body.event_type(), **envelope, "data": data}
    return _bounded(_dumps(wire, orjson.OPT_UTC_Z))


class EventTemplate:
    """An event that is written often: encoded once, and each time filled with what changes.

    `changing` names fields of the body or the envelope; each is a text that JSON writes as it is (ASCII, no quote, no
    backslash, no control character). A test holds it to what `encode` says.
    """

    def __init__(
        self, body: type[Body], data: Mapping[str, object], changing: Sequence[str], **envelope: object
    ) -> None:
        mark = secrets.token_hex(16)  # so that no value of ours or a sender's can look like a gap
        gaps = {name: f"{mark}{number}." for number, name in enumerate(changing)}
        said = {**data, **{name: gap for name, gap in gaps.items() if name in body.model_fields}}
        outer = {**envelope, **{name: gap for name, gap in gaps.items() if name not in body.model_fields}}
        pieces = re.split(rf"{mark}([0-9]+)\.".encode(), encode_fields(body, said, **outer))
        self._format = "%s".join(fixed.decode().replace("%", "%%") for fixed in pieces[::2])
        self._order = [changing[int(number)] for number in pieces[1::2]]

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return the event with `values`, at most 256 KiB."""
        return _bounded((self._format % tuple([values[name] for name in self._order])).encode())


def _bounded(encoded: bytes) -> bytes:
    if len(encoded) > MAX_EVENT_BYTES:
        raise Malformed(f"an event of {len(encoded)} bytes exceeds {MAX_EVENT_BYTES}: store it and name the object")
    return encoded


def decode(raw: bytes, bodies: Sequence[type[Body]]) -> Event[Body]:
    """Return the event in `raw`, whose body is one of `bodies`; raise `Malformed` with the first broken rule."""
    wire = _loads(raw)
    wanted = wire.get("type") if isinstance(wire, dict) else None
    body = next((candidate for candidate in bodies if candidate.event_type() == wanted), None)
    if body is None:
        raise UnknownEvent(f"{_named(wanted)} is none of {', '.join(b.event_type() for b in bodies)}")
    try:
        return Event[body].model_validate(wire)  # type: ignore[valid-type]
    except ValidationError as error:
        raise Malformed(_first_fault(error)) from error


def _dumps(wire: object, option: int | None = None) -> bytes:
    try:
        return orjson.dumps(wire, option=option)
    except orjson.JSONEncodeError as error:
        raise Malformed("a text that is not Unicode (a lone surrogate) has no JSON form") from error


def _named(wanted: object) -> str:
    """Repeat a stranger's type only where it looks like one: it could be anything, a patient's name too."""
    looks_like_one = isinstance(wanted, str) and _EVENT_TYPE.fullmatch(wanted)
    return f"type {wanted!r}" if looks_like_one else "the type, missing or not a name with a version,"


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed("not JSON") from error


def _first_fault(error: ValidationError) -> str:
    """Say which field broke which rule, without the value: it may be a patient's."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


def document_bytes(document: Body) -> bytes:
    """Return the one byte form of a document that is digested, signed, stored and never re-serialised."""
    return _dumps(document.model_dump(mode="json"), orjson.OPT_SORT_KEYS)


def json_bytes(value: object) -> bytes:
    """Return plain data as JSON (manifests and other stored objects)."""
    return _dumps(value, orjson.OPT_SORT_KEYS)


def number(digits: str) -> object:
    """Return decimal digits for `json_bytes`, which writes them as a number without changing one of them."""
    return orjson.Fragment(digits.encode())


def sha256(content: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()
