"""POST and PUT of ServiceRequest, and Bundles of them, under /fhir (FHIR R4, RESTful API)."""

import asyncio
from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.order_statements import OrderForm, OrderNumber, OrderStatement
from overread.contracts.identifiers import deterministic_id
from overread.order_intake import fhir_answers, fhir_orders, json_orders
from overread.order_intake.callers import idempotency_key, link_of
from overread.order_intake.fhir_answers import MEDIA_TYPE
from overread.order_intake.fhir_orders import Along, Entry, FhirOrder
from overread.order_intake.intake import Answer, Intake, ReusedMessageId
from overread.order_intake.problems import RETRY_SECONDS, Refused
from overread.protocols.fhir.elements import Element, FhirFault, NotUnderstood
from overread.protocols.fhir.service_request import Names

_TAKEN = frozenset({MEDIA_TYPE, "application/json", "application/json+fhir"})
_BASE = "/fhir"


class FhirApi:
    """Takes orders as FHIR."""

    def __init__(self, intake: Intake, site_id: str, names: Names) -> None:
        self._intake = intake
        self._site_id = site_id
        self._names = names

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(f"{_BASE}/metadata", self.capabilities, methods=["GET"])
        router.add_api_route(f"{_BASE}/ServiceRequest", self.create, methods=["POST"])
        router.add_api_route(f"{_BASE}/ServiceRequest/{{resource_id}}", self.update, methods=["PUT"])
        router.add_api_route(_BASE, self.bundle, methods=["POST"])

    async def capabilities(self) -> JSONResponse:
        """Return what is taken here."""
        return JSONResponse(fhir_answers.capabilities(), media_type=MEDIA_TYPE)

    async def create(self, request: Request) -> JSONResponse:
        """Keep an order: 201, or 200 where it was kept before, also by If-None-Exist."""
        try:
            order = fhir_orders.read(await _resource(request), Along({}), self._names)
            if_none_exist = request.headers.get("if-none-exist", "")
            message_id = _creates(order, if_none_exist, idempotency_key(request))
            kept = await self._create(order, await request.body(), link_of(request), message_id, if_none_exist)
        except OverreadError as error:
            return refusal(error)
        return self._answer(order, kept, 200 if kept.is_repeat else 201)

    async def update(self, request: Request, resource_id: str) -> JSONResponse:
        """Keep how an order reads now: 200."""
        try:
            resource = await _resource(request)
            _must_be_named(resource, resource_id)
            order = fhir_orders.read(self._numbered(resource, link_of(request)), Along({}), self._names)
            message_id = _updates(order, request.headers.get("if-match", ""), idempotency_key(request))
            kept = await self._keep(order, await request.body(), link_of(request), message_id)
        except OverreadError as error:
            return refusal(error)
        return self._answer(order, kept, 200)

    async def bundle(self, request: Request) -> JSONResponse:
        """Keep the orders of a transaction, all or none, or of a batch, each for itself."""
        try:
            bundle = await _resource(request)
            kind = bundle.text("type")
            if bundle.kind != "Bundle" or kind not in ("transaction", "batch"):
                sentence = "Here a Bundle of type transaction or batch is taken."
                raise NotUnderstood(FhirFault(f"{bundle.kind}.type", "not-supported", sentence))
            entries, key = fhir_orders.entries_of(bundle), idempotency_key(request)
            does = self._transaction if kind == "transaction" else self._batch
            responses = await does(entries, link_of(request), key)
        except OverreadError as error:
            return refusal(error)
        return JSONResponse(fhir_answers.bundle(kind, responses), media_type=MEDIA_TYPE)

    async def _transaction(self, entries: Sequence[Entry], link_id: str, key: str) -> Sequence[Mapping[str, Any]]:
        """Read all before anything is kept; then keep one after another. What was kept before an end is a repeat later."""
        brought = fhir_orders.along(entries)
        orders: dict[int, FhirOrder] = {}
        faults: list[FhirFault] = []
        for place, entry in enumerate(entries):
            try:
                fhir_orders.must_be_wanted(entry)
                if entry.is_order:
                    orders[place] = self._read(entry, brought, link_id)
            except NotUnderstood as error:
                faults += error.faults
        for entry in () if faults else entries:
            fhir_orders.must_be_used(entry, brought.used)
        if faults:
            raise NotUnderstood(*faults)
        for order in orders.values():
            self._intake.judge(order.statement)
        keeping = (self._keep_entry(entries[place], order, link_id, key, place) for place, order in orders.items())
        answers = dict(zip(orders, await asyncio.gather(*keeping), strict=True))
        return [answers.get(place) or _along(entry) for place, entry in enumerate(entries)]

    async def _batch(self, entries: Sequence[Entry], link_id: str, key: str) -> Sequence[Mapping[str, Any]]:
        brought = fhir_orders.along(entries)
        return await asyncio.gather(
            *(self._one(entry, brought, link_id, key, place) for place, entry in enumerate(entries))
        )

    async def _one(self, entry: Entry, brought: Along, link_id: str, key: str, place: int) -> Mapping[str, Any]:
        try:
            fhir_orders.must_be_wanted(entry)
            if not entry.is_order:
                return _along(entry)
            order = self._read(entry, brought, link_id)
            return await self._keep_entry(entry, order, link_id, key, place)
        except OverreadError as error:
            return {"status": str(fhir_answers.status_of(error)), "outcome": fhir_answers.outcome(error)}

    def _read(self, entry: Entry, brought: Along, link_id: str) -> FhirOrder:
        resource = entry.resource
        if entry.method == "PUT":
            _must_be_named(resource, entry.url.partition("/")[2])
            resource = self._numbered(resource, link_id)
        return fhir_orders.read(resource, brought, self._names)

    async def _keep_entry(
        self, entry: Entry, order: FhirOrder, link_id: str, key: str, place: int
    ) -> Mapping[str, Any]:
        own_key = f"{key}/{place}" if key else ""
        if entry.method == "PUT":
            kept = await self._keep(order, order.said, link_id, _updates(order, entry.if_match, own_key))
        else:
            message_id = _creates(order, entry.if_none_exist, own_key)
            kept = await self._create(order, order.said, link_id, message_id, entry.if_none_exist)
        status = "200 OK" if kept.is_repeat or entry.method == "PUT" else "201 Created"
        told = {"status": status, "etag": _etag(kept), "lastModified": kept.received_at.isoformat()}
        return {**told, "location": self._location(order, kept), "outcome": fhir_answers.kept(is_repeat=kept.is_repeat)}

    async def _create(self, order: FhirOrder, raw: bytes, link_id: str, message_id: str, if_none_exist: str) -> Answer:
        """Keep what is new; by If-None-Exist whatever came first under the same condition is what there is (R4, create)."""
        try:
            return await self._keep(order, raw, link_id, message_id)
        except ReusedMessageId:
            first = self._intake.first_answer(link_id, message_id) if if_none_exist else None
            if first is None:
                raise
            return first

    async def _keep(self, order: FhirOrder, raw: bytes, link_id: str, message_id: str) -> Answer:
        return await self._intake.keep(
            order.statement,
            raw,
            form=OrderForm.FHIR,
            media_type=MEDIA_TYPE,
            link_id=link_id,
            message_id=message_id,
            said=order.said,
        )

    def _numbered(self, resource: Element, link_id: str) -> Element:
        """Return a resource that has no identifier under its id, which the sender gave it: that is its number."""
        if resource.has("identifier"):
            return resource
        number = {"system": link_id, "value": resource.text("id")}
        return Element({**resource.value, "identifier": [number]}, resource.expression)

    def _answer(self, order: FhirOrder, kept: Answer, status: int) -> JSONResponse:
        headers = {
            "Location": f"{_BASE}/{self._location(order, kept)}",
            "ETag": _etag(kept),
            "Last-Modified": format_datetime(kept.received_at, usegmt=True),
        }
        content = fhir_answers.kept(is_repeat=kept.is_repeat)
        return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)

    def _location(self, order: FhirOrder, kept: Answer) -> str:
        resource_id = order.request.text("id") or self._order_id(order.statement)
        return f"ServiceRequest/{resource_id}/_history/{kept.event_id}"

    def _order_id(self, statement: OrderStatement) -> str:
        """Return the name of the order that its number makes, whoever says it."""
        number = statement.placer or statement.filler or OrderNumber(number="-")
        return str(deterministic_id("order", self._site_id, f"{number.number}^{number.namespace}"))


async def _resource(request: Request) -> Element:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _TAKEN:
        raise Refused(415, "media-type", f"The body must be {MEDIA_TYPE}.", "Say so in Content-Type.")
    accepted = request.headers.get("accept", "*/*").lower()
    if "json" not in accepted and "*" not in accepted:
        raise Refused(406, "not-acceptable", "Answers are JSON.", f"Accept {MEDIA_TYPE}.")
    return fhir_orders.resource_of(json_orders.parse(await request.body()))


def _must_be_named(resource: Element, resource_id: str) -> None:
    """Raise `NotUnderstood` unless an update names the resource that it holds (R4, update)."""
    if not resource_id or resource.text("id") != resource_id:
        raise NotUnderstood(FhirFault(resource.at("id"), "structure", "The id must be the one that the URL names."))


def _creates(order: FhirOrder, if_none_exist: str, key: str) -> str:
    """Return by what a repeat of a create is known: the key, the condition, or what it says."""
    return key or _named("if-none-exist", if_none_exist) or f"create:{_digest(order)}"


def _updates(order: FhirOrder, if_match: str, key: str) -> str:
    """Return by what a repeat of an update is known: the key, or the version that the sender says.

    Without either each update counts: an order that is held, released, and held again, says the same twice.
    """
    meta = order.request.element("meta")
    version = (meta.text("versionId") or meta.text("lastUpdated")) if meta else ""
    said = f"{order.request.text('id')}/{version or if_match}" if version or if_match else ""
    return key or _named("update", said) or f"update:{uuid4()}"


def _named(kind: str, said: str) -> str:
    return f"{kind}:{deterministic_id(kind, said)}" if said else ""


def _digest(order: FhirOrder) -> str:
    return str(deterministic_id("said", order.said.decode()))


def _etag(kept: Answer) -> str:
    return f'W/"{kept.event_id}"'


def _along(entry: Entry) -> Mapping[str, Any]:
    status = "201 Created" if entry.method == "POST" else "200 OK"
    return {"status": status, "outcome": fhir_answers.read_along()}


def refusal(error: OverreadError) -> JSONResponse:
    """Return the OperationOutcome of what was refused as the answer."""
    if not isinstance(error, Malformed | Unavailable | Refused):
        raise error
    status = fhir_answers.status_of(error)
    headers = {"Retry-After": RETRY_SECONDS} if status in (429, 503) else {}
    return JSONResponse(fhir_answers.outcome(error), status_code=status, headers=headers, media_type=MEDIA_TYPE)
