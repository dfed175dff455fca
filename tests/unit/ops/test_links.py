"""`GET /ops/links`: what the intake and delivery say at their own sockets; who does not answer is told apart."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from overread.ops.links import Links
from overread.runtime.health import Health, operations_app
from tests.builders.events import NOON
from tests.fakes.behind import serving


async def test_links_are_what_the_intake_says_and_a_silent_service_is_null(tmp_path: Path) -> None:
    """REQ-LNK-07: the page tells a link without messages from an intake that does not answer."""
    said = {"links": [{"link_id": "his", "state": "listening"}]}
    watched = {"hl7_intake": tmp_path / "intake.sock", "delivery": tmp_path / "nobody.sock"}
    routes = Links(cast("Any", SimpleNamespace(clock=lambda: NOON)), cast("Any", SimpleNamespace(watched=watched)))

    async def links() -> object:
        return said

    async with serving(operations_app(Health(), {"/links": links}), watched["hl7_intake"]):
        view = await routes.links()

    assert (view.at, view.intake, view.destinations) == (NOON, said, None)
