"""POST /api/v1/orders: one order, or up to 500 as an array; each is answered when it is kept."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from overread.contracts.errors import OverreadError
from overread.contracts.events.order_statements import OrderForm
from overread.order_intake import json_orders, problems
from overread.order_intake.callers import idempotency_key, link_of
from overread.order_intake.checks import Fault, NotAnOrder
from overread.order_intake.intake import Answer, Intake
from overread.order_intake.json_orders import MOST_ITEMS, ReadOrder
from overread.order_intake.problems import Refused

MEDIA_TYPE = "application/json"
_NO_ID = NotAnOrder(
    (Fault("/message_id", "Say message_id, or send the header Idempotency-Key: else no repeat could be told."),)
)


class JsonApi:
    """Takes orders in the words of the contract."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/api/v1/orders", self.place, methods=["POST"])

    async def place(self, request: Request) -> JSONResponse:
        """Keep what the body says, and answer for each order.

        202: kept, and on its way to assembly. 200: kept before, the first answer again. 207: of an array, some were
        refused. Everything else is a problem document, and nothing of that order was kept.
        """
        body = await request.body()
        _must_be_json(request)
        said = json_orders.parse(body)
        link_id, key = link_of(request), idempotency_key(request)
        if isinstance(said, list):
            return _together(await self._each(said, link_id, key))
        order = json_orders.read(said)
        kept = await self._keep(order, body, link_id, order.message_id or key)
        return JSONResponse(_kept(order.message_id or key, kept), status_code=200 if kept.is_repeat else 202)

    async def _each(self, items: Sequence[Any], link_id: str, key: str) -> Sequence[dict[str, Any]]:
        """Begin one after another, so that they keep their order; wait for all."""
        if len(items) > MOST_ITEMS:
            raise Refused(413, "too-many", f"An array holds at most {MOST_ITEMS} orders.", "Send them in parts.")
        return await asyncio.gather(
            *(self._one(item, link_id, f"{key}/{place}" if key else "") for place, item in enumerate(items))
        )

    async def _one(self, item: Any, link_id: str, message_id: str) -> dict[str, Any]:
        try:
            order = json_orders.read(item)
            message_id = order.message_id or message_id
            return _kept(message_id, await self._keep(order, order.said, link_id, message_id))
        except OverreadError as error:
            return {"message_id": message_id or None, **problems.described(error)}

    async def _keep(self, order: ReadOrder, raw: bytes, link_id: str, message_id: str) -> Answer:
        if not message_id:
            raise _NO_ID
        return await self._intake.keep(
            order.statement,
            raw,
            form=OrderForm.JSON,
            media_type=MEDIA_TYPE,
            link_id=link_id,
            message_id=message_id,
            said=order.said,
        )


def _must_be_json(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.partition("charset=")[2].strip(' "').lower()
    if media_type.strip().lower() != MEDIA_TYPE or charset not in ("", "utf-8"):
        raise Refused(415, "media-type", f"The body must be {MEDIA_TYPE} in UTF-8.", "Say so in Content-Type.")


def _kept(message_id: str, answer: Answer) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "status": 200 if answer.is_repeat else 202,
        "event_id": str(answer.event_id),
        "received_at": answer.received_at.isoformat(),
    }


def _together(answers: Sequence[dict[str, Any]]) -> JSONResponse:
    """Answer for all: as one where all ended alike, as Multi-Status (RFC 4918, 11.1) where some were refused."""
    statuses = {answer["status"] for answer in answers}
    status = 202 if statuses == {200, 202} else statuses.pop() if len(statuses) == 1 else 207 if statuses else 200
    headers = {"Retry-After": problems.RETRY_SECONDS} if status in (429, 503) else {}
    return JSONResponse({"orders": answers}, status_code=status, headers=headers)
