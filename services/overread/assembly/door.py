"""Who may come in behind the front: one router a concern, each with the roles it is for; and refusals in plain words."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from overread.contracts.errors import OverreadError
from overread.runtime.passes import Visitor, visitor_with
from overread.runtime.service import Service

AUDIENCE = "assembly"
RECONCILERS = frozenset({"reconciler"})
INTEGRATORS = frozenset({"integrator"})
OPERATORS = frozenset({"ops"})


class Refused(OverreadError):
    """What was asked can't be done as things are; `status` and `kind` tell a program, the words tell a person."""

    status = 409
    kind = "refused"


class NotFound(Refused):
    """There is no such thing at this site."""

    status = 404
    kind = "not-found"


class Door:
    """Lets in whom the front has passed on, and nobody else."""

    def __init__(self, service: Service, secret: bytes) -> None:
        self._service = service
        self._secret = secret

    def router(self, prefix: str, roles: frozenset[str]) -> APIRouter:
        """Return a router whose every route asks for a pass with one of `roles`."""
        admitted = visitor_with(
            roles,
            audience=AUDIENCE,
            secret=self._secret,
            site_id=self._service.settings.site_id,
            clock=self._service.clock,
        )

        def admit(request: Request) -> None:
            request.state.visitor = admitted(request)

        return APIRouter(prefix=prefix, dependencies=[Depends(admit)])


def asking(request: Request) -> Visitor:
    """Return who was let in."""
    visitor: Visitor = request.state.visitor
    return visitor


Asking = Annotated[Visitor, Depends(asking)]
