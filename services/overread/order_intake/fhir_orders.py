"""Orders as FHIR R4: a ServiceRequest alone, or in a Bundle beside what it refers to. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overread.contracts import codec
from overread.contracts.events.order_statements import OrderStatement
from overread.order_intake.checks import faults_of
from overread.order_intake.control_characters import control_faults
from overread.order_intake.plain_words import MOST_FAULTS
from overread.protocols.fhir import service_request
from overread.protocols.fhir.elements import Element, FhirFault, NotUnderstood
from overread.protocols.fhir.service_request import Names

ORDER = "ServiceRequest"
SUPPORTING = frozenset({"Patient", "Practitioner", "PractitionerRole", "Encounter", "Organization", "Location"})
"""What may come along in a Bundle: read for the orders that refer to it, and no resource of its own here."""

MOST_ENTRIES = 500

NOT_KEPT = frozenset({"text", "photo"})
"""Elements of what comes along that no order needs: its narrative repeats the others (R4, Narrative)."""

MOST_ALONG_BYTES = 64 * 1024
"""What one order refers to in its Bundle is kept with it, and a Bundle may have many orders that refer to one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirOrder:
    """A statement as it was read; `said` is the request and what it refers to, written one way."""

    statement: OrderStatement
    said: bytes
    request: Element


@dataclass(slots=True)
class Along:
    """What came along with requests; `used` are the names by which something was found."""

    by_name: Mapping[str, Element]
    used: set[str] = field(default_factory=set)
    _bytes: dict[str, bytes] = field(default_factory=dict)

    def resolver(self, request: Element, found: list[Element]) -> Callable[[str], Element | None]:
        """Return what resolves the references of `request`: contained resources first (R4, References)."""
        contained = {f"#{one.text('id')}": one for one in request.elements("contained")}

        def resolve(reference: str) -> Element | None:
            if reference.startswith("#"):
                return contained.get(reference)
            name = reference if reference in self.by_name else "/".join(reference.split("/")[-2:])
            resource = self.by_name.get(name) if reference else None
            if resource is not None:
                self.used.add(resource.expression)
                found.append(resource)
            return resource

        return resolve

    def written(self, found: Sequence[Element], request: Element) -> Sequence[bytes]:
        """Write each resource of `found` once, or raise `NotUnderstood` where it is too much to be kept with every order."""
        resources = {one.expression: one.value for one in found}
        for expression, value in resources.items():
            if expression not in self._bytes:
                self._bytes[expression] = codec.json_bytes({n: v for n, v in value.items() if n not in NOT_KEPT})
        brought = [self._bytes[expression] for expression in resources]
        if sum(map(len, brought)) > MOST_ALONG_BYTES:
            sentence = (
                f"What it refers to is longer than {MOST_ALONG_BYTES // 1024} KiB, which is kept with each order."
            )
            raise NotUnderstood(FhirFault(request.expression, "too-costly", sentence))
        return brought


NOTHING_ALONG: Mapping[str, Element] = {}


def read(request: Element, along: Along, names: Names) -> FhirOrder:
    """Return what `request` says of its order, or raise `NotUnderstood` with its faults."""
    if request.kind != ORDER:
        sentence = f"Only a {ORDER} is taken here."
        raise NotUnderstood(FhirFault(request.at("resourceType"), "not-supported", sentence))
    found: list[Element] = []
    statement = service_request.read(request, along.resolver(request, found), names)
    if faults := [*_faults(request, statement)]:
        raise NotUnderstood(*faults)
    return FhirOrder(statement=statement, said=_said(request, along.written(found, request)), request=request)


def _said(request: Element, brought: Sequence[bytes]) -> bytes:
    """Write a request and what it refers to as one list."""
    return b"[%s]" % b",".join([codec.json_bytes(request.value), *brought])


def _faults(request: Element, statement: OrderStatement) -> Iterator[FhirFault]:
    """Yield what keeps the statement from being an order, each at the element that it was read from."""
    found = [("required", fault) for fault in faults_of(statement)]
    found += [("value", fault) for fault in control_faults(statement)]
    for code, fault in found[:MOST_FAULTS]:
        place = service_request.place_of(fault.pointer.split("/")[1])
        yield FhirFault(request.at(place), code, fault.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a Bundle: its resource, and what is asked to be done with it."""

    resource: Element
    method: str
    url: str
    if_none_exist: str
    if_match: str
    full_url: str

    @property
    def is_order(self) -> bool:
        """Say whether the entry asks for an order to be kept."""
        return self.resource.kind == ORDER


def entries_of(bundle: Element) -> Sequence[Entry]:
    """Return the entries of a transaction or batch, or raise `NotUnderstood`."""
    entries = bundle.elements("entry")
    if len(entries) > MOST_ENTRIES:
        sentence = f"A Bundle holds at most {MOST_ENTRIES} entries: send it in parts."
        raise NotUnderstood(FhirFault(bundle.at("entry"), "too-costly", sentence))
    return [_entry(entry) for entry in entries]


def _entry(entry: Element) -> Entry:
    request, resource = entry.element("request"), entry.element("resource")
    if request is None or resource is None:
        sentence = "An entry needs a request, and a resource to create or update."
        raise NotUnderstood(FhirFault(entry.expression, "required", sentence))
    return Entry(
        resource=resource,
        method=request.text("method"),
        url=request.text("url"),
        if_none_exist=request.text("ifNoneExist"),
        if_match=request.text("ifMatch"),
        full_url=entry.text("fullUrl"),
    )


def along(entries: Sequence[Entry]) -> Along:
    """Return what the entries bring along, by full URL and by type and id."""
    by_name: dict[str, Element] = {}
    for entry in entries:
        kind, resource_id = entry.resource.kind, entry.resource.text("id")
        names = (entry.full_url, f"{kind}/{resource_id}" if resource_id else "", entry.url)
        by_name |= {name: entry.resource for name in names if name and name != kind}
    return Along(by_name)


def must_be_wanted(entry: Entry) -> None:
    """Raise `NotUnderstood` for what is not done here: other methods, other resources."""
    kind, request = entry.resource.kind, entry.resource.expression.replace(".resource", ".request")
    if not entry.is_order and kind not in SUPPORTING:
        sentence = f"Taken are {ORDER}, and beside it {', '.join(sorted(SUPPORTING))}."
        raise NotUnderstood(FhirFault(entry.resource.at("resourceType"), "not-supported", sentence))
    if entry.method not in ("POST", "PUT"):
        sentence = "Only POST and PUT are done here; an order that is not wanted any more is sent as revoked."
        raise NotUnderstood(FhirFault(f"{request}.method", "not-supported", sentence))
    if entry.url.partition("?")[0].split("/")[0] != kind:
        raise NotUnderstood(FhirFault(f"{request}.url", "invalid", "The URL names another type than the resource."))


def must_be_used(entry: Entry, used: set[str]) -> None:
    """Raise `NotUnderstood` for a resource that no order refers to: it would be lost in silence."""
    if not entry.is_order and entry.resource.expression not in used and entry.resource.kind == "Patient":
        sentence = (
            "No order here refers to this patient, and no patient is kept alone: send it with its orders, or by ADT."
        )
        raise NotUnderstood(FhirFault(entry.resource.expression, "business-rule", sentence))


def resource_of(value: Any) -> Element:
    """Return the resource in a body, or raise `NotUnderstood`."""
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise NotUnderstood(FhirFault("Resource", "structure", "The body is no resource: it has no resourceType."))
    return Element.of(value, value["resourceType"][:64])
