"""The desk's routes: what a person must decide about, shown to reconcilers alone."""

from fastapi import APIRouter
from pydantic import BaseModel

from overread.assembly import store
from overread.assembly.door import RECONCILERS, Door
from overread.runtime.service import Service


class CountsView(BaseModel):
    """How much waits for a person, by what it is."""

    kinds: dict[str, int]


class DeskApi:
    """What a reconciler sees."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def router(self, door: Door) -> APIRouter:
        """Return the routes."""
        router = door.router("/desk", RECONCILERS)
        router.add_api_route("/counts", self.counts, methods=["GET"])
        return router

    async def counts(self) -> CountsView:
        """Return how many entries wait, by kind."""
        async with self._service.transaction() as tx:
            return CountsView(kinds=await store.desk_counts(tx.connection, tx.site_id))
