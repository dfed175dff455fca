"""How the links of HL7 senders and the ways to destinations are, as the services that hold them say at their own sockets."""

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from overread.ops.settings import OpsSettings
from overread.runtime.health import answer_at
from overread.runtime.service import Service

WHO_MAY_LOOK = frozenset({"ops", "integrator"})

_LINKS = ("hl7_intake", "/links")
_WAYS = ("delivery", "/destinations")


class LinksView(BaseModel):
    """`intake` is what the HL7 intake says of its links, `destinations` what delivery says of its ways; null: no answer."""

    at: datetime
    intake: dict[str, Any] | None
    destinations: list[dict[str, Any]] | None


class Links:
    """The route of links; nothing in it is about a patient."""

    def __init__(self, service: Service, settings: OpsSettings) -> None:
        self._service = service
        self._settings = settings

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/links", self.links, methods=["GET"])

    async def links(self) -> LinksView:
        """Ask the intake and delivery."""
        intake, destinations = await asyncio.gather(self._asked(*_LINKS), self._asked(*_WAYS))
        return LinksView(at=self._service.clock(), intake=intake, destinations=destinations)

    async def _asked(self, service: str, path: str) -> Any:
        socket = self._settings.watched.get(service)
        return None if socket is None else await asyncio.to_thread(answer_at, socket, path)
