"""The desk behind the front: who may ask, and what a reconciler is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from overread.assembly.web import build
from tests.builders.orders import an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench
from tests.fakes.behind import serving
from tests.fakes.review import INTEGRATOR, OPERATOR, READER, RECONCILER, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

SECRET = "a secret of front and assembly"


@dataclass
class Desk:
    """A review with assembly behind it, both of one site."""

    assembly: AssemblyBench
    review: ReviewBench

    async def asked(self, path: str, *, as_user: str | None = RECONCILER) -> Any:
        """Ask as somebody."""
        async with self.review.client(as_user) as client:
            return await client.get(path)


@pytest.fixture
async def desk(stack: Any, tmp_path: Path) -> AsyncIterator[Desk]:
    """Return an installation of the two services that a desk needs."""
    socket = tmp_path / "assembly.sock"
    async with (
        a_review_bench(
            stack.endpoints.dsn("review"), tmp_path, assembly_socket=socket, front_secret=SecretStr(SECRET)
        ) as review,
        an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path, site_id=review.site_id) as assembly,
        serving(build(assembly.service, SECRET.encode()), socket),
    ):
        yield Desk(assembly, review)


async def test_reconciler_is_told_how_much_waits(desk: Desk) -> None:
    """An order of one patient whose accession number another patient's images carry is the desk's."""
    await desk.assembly.hears_orders(an_order(patient_id="TEST-9999^^^HIS^PI"))
    await desk.assembly.hears_images(desk.assembly.image())

    answer = await desk.asked("/desk/counts")

    assert (answer.status_code, answer.json()) == (200, {"kinds": {"order": 1}})


@pytest.mark.parametrize(
    ("path", "entitled"),
    [
        ("/desk/counts", {RECONCILER: 200}),
        ("/mapping/nothing", {INTEGRATOR: 404}),
        ("/messages/nothing", {INTEGRATOR: 404, OPERATOR: 404}),
    ],
)
async def test_front_lets_nobody_else_to_assembly(desk: Desk, path: str, entitled: dict[str, int]) -> None:
    """Orders with their patients are for those who decide about them; without a sign-in there is nothing."""
    for user in (RECONCILER, INTEGRATOR, OPERATOR, READER, None):
        answer = await desk.asked(path, as_user=user)

        assert answer.status_code == (401 if user is None else entitled.get(user, 403)), user


async def test_assembly_itself_asks_for_the_fronts_pass(desk: Desk, tmp_path: Path) -> None:
    """Whoever reaches the socket without the front gets nothing."""
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "assembly.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/desk/counts")

    assert answer.status_code == 401
