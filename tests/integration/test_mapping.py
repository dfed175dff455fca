"""The mapping with real PostgreSQL: files in and out behind the front, and what becomes of orders."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from overread.assembly import mapping_files, mapping_store
from overread.assembly.mapping_rows import MappingRow
from overread.assembly.remapping import Remapping
from overread.assembly.web import build
from overread.cli.api_client import Api
from overread.cli.app import main
from overread.contracts.topics import AUDIT_RECORDED, CASES_CHANGED, ORDERS_CHANGED, REPORTS_SIGNED
from tests.builders.events import a_report_signed, an_event
from tests.builders.mappings import a_doctor, a_service, a_ward
from tests.builders.orders import a_cancellation, an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices
from tests.fakes.behind import serving
from tests.fakes.review import INTEGRATOR, OPERATOR, READER, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

SECRET = "a secret of front and assembly"
IN_WARD = {"PV1-3": "KCC^P1^G2"}


def asked(minute: int = 0, control: str = "NW", put: Mapping[str, str] | None = None, **known: str) -> bytes:
    """Return an order for a chest CT by the HIS's own code."""
    return an_order(minute, control, put=put, service="CTNGUC^CT ngực^99HIS", **known)


@dataclass
class Site:
    """A review with assembly behind it."""

    assembly: AssemblyBench
    review: ReviewBench

    async def get(self, path: str, *, as_user: str | None = INTEGRATOR) -> Any:
        """Ask for something."""
        async with self.review.client(as_user) as client:
            return await client.get(f"/mapping/{path}")

    async def post(self, path: str, content: bytes = b"", **said: Any) -> Any:
        """Send a file, or `said` as JSON."""
        async with self.review.client(INTEGRATOR) as client:
            if said:
                return await client.post(f"/mapping/{path}", json=said)
            return await client.post(f"/mapping/{path}", content=content, headers={"Content-Type": "text/csv"})

    async def takes(self, *rows: MappingRow) -> dict[str, Any]:
        """Import the rows, and return what is said of it."""
        answer = await self.post("import", mapping_files.as_csv(rows))
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def settle(self) -> None:
        """Let orders follow the mapping until none is left."""
        remapping = Remapping(self.assembly.service, timedelta(days=60))
        while self.assembly.site_id in await self._waiting():
            await remapping.tick()

    async def _waiting(self) -> set[str]:
        async with self.assembly.service.transaction() as tx:
            return {site_id for site_id, *_ in await mapping_store.waiting(tx)}


@pytest.fixture
async def site(stack: Any, tmp_path: Path) -> AsyncIterator[Site]:
    """Return an installation of the two services."""
    socket = tmp_path / "assembly.sock"
    async with (
        a_review_bench(
            stack.endpoints.dsn("review"), tmp_path, assembly_socket=socket, front_secret=SecretStr(SECRET)
        ) as review,
        an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path, site_id=review.site_id) as assembly,
        serving(build(assembly.service, SECRET.encode()), socket),
    ):
        yield Site(assembly, review)


async def test_order_reads_as_the_site_calls_it_and_keeps_what_its_sender_said(site: Site) -> None:
    """REQ-MAP-01: procedure, models, modality, ward and doctor beside the placer's own codes; also on its case."""
    await site.takes(a_service(models=("ct-lung-density",)), a_ward(), a_doctor())
    await site.assembly.hears_images(*slices(site.assembly, 1))

    await site.assembly.hears_orders(asked(put=IN_WARD))

    (order,) = await site.assembly.orders()
    assert order.procedure is not None
    assert order.location is not None
    assert order.requester is not None
    assert (order.procedure.identifier, order.procedure.text, order.models) == (
        "RPID16",
        "CT ngực",
        ("ct-lung-density",),
    )
    assert (order.location.text, order.requester.text) == ("Khoa Cấp cứu, Nhà A", "BS. MẪU Một")
    assert order.service is not None
    assert (order.service.identifier, order.service.coding_system) == ("CTNGUC", "99HIS")
    assert (order.patient_location, order.link_id) == ("KCC^P1^G2", "his")
    assert (await site.assembly.case()).orders == (order,)


async def test_changed_mapping_reaches_open_orders_whose_study_is_not_read(site: Site) -> None:
    """REQ-MAP-05: the answer says how many; they are told by the events of a changed order, and nothing is held."""
    await site.assembly.hears_images(*slices(site.assembly, 1))
    await site.assembly.hears_orders(asked(), asked(placer="P2^HIS", accession="B", study="1.2.3.4"))
    await site.assembly.hears_orders(a_cancellation(placer="P2^HIS"))
    before = await site.assembly.case()

    said = await site.takes(a_service())
    await site.settle()

    assert (said["orders"], len(said["added"])) == (1, 1)
    assert {order.placer_order_number: bool(order.procedure) for order in await site.assembly.orders()} == {
        "TEST-PLACER-1": True,
        "P2": False,
    }
    after = await site.assembly.case()
    assert (await site.assembly.told_of_cases())[-1] == "OrderChangedOnCase"
    assert (after.revision, after.identity_version) == (before.revision + 1, before.identity_version)
    (version,) = (await site.get("versions")).json()
    assert (version["orders_told"], version["is_applied"], version["made_by"]) == (1, True, INTEGRATOR)


async def test_read_study_is_left_as_it_was_told(site: Site) -> None:
    """REQ-MAP-05: once a report is signed."""
    await site.assembly.hears_images(*slices(site.assembly, 1))
    await site.assembly.hears_orders(asked())
    signed = a_report_signed(case_id=(await site.assembly.case()).case_id)
    await site.assembly.hears(REPORTS_SIGNED, an_event(signed, site_id=site.assembly.site_id, own_key=str(uuid4())))
    told = len(await site.assembly.told(ORDERS_CHANGED))

    said = await site.takes(a_service())
    await site.settle()

    assert said["orders"] == 0
    assert len(await site.assembly.told(ORDERS_CHANGED)) == told


async def test_orders_follow_in_batches_and_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-MAP-05: what is interrupted goes on where it was, and what goes on again tells nobody twice."""
    monkeypatch.setattr("overread.assembly.remapping.BATCH", 2)
    raw = [asked(placer=f"P{n}^HIS", accession=f"A{n}", study=f"1.2.3.{n}") for n in range(5)]
    await site.assembly.hears_orders(*raw)
    await site.takes(a_service())

    await site.settle()
    await site.settle()

    told = [event.data for event in await site.assembly.told(ORDERS_CHANGED)]
    assert sorted(one.revision for one in told) == [1] * 5 + [2] * 5
    assert all(order.procedure for order in await site.assembly.orders())


async def test_unmapped_codes_are_counted_and_go_when_they_are_mapped(site: Site) -> None:
    """REQ-MAP-06: by link and kind, with the code's own text and nothing of a patient."""
    await site.assembly.hears_orders(asked(0, put=IN_WARD))
    await site.assembly.hears_orders(asked(1, "XO", put=IN_WARD), a_cancellation(2))

    seen = {(one["kind"], one["code"]): one for one in (await site.get("unmapped")).json()}
    await site.takes(a_service(link="his"), a_ward())
    left = (await site.get("unmapped")).json()

    assert set(seen) == {("service", "CTNGUC"), ("ward", "KCC"), ("doctor", "BS001")}
    service = seen["service", "CTNGUC"]
    assert (service["count"], service["system"], service["example"], service["link"]) == (
        2,
        "99HIS",
        "CT ngực",
        "his",
    )
    assert [one["kind"] for one in left] == ["doctor"]
    assert "TEST-0001" not in str(seen)


async def test_file_with_a_fault_changes_nothing(site: Site) -> None:
    """REQ-MAP-04: every fault with row and column; the good rows of it are not taken either."""
    file = "kind,code,vi,modality\nservice,A,Chụp A,CT\nservice,B,=1+1,ct\nroom,C,C,\n".encode()

    dry, refused = await site.post("check", file), await site.post("import", file)

    assert refused.status_code == 422
    assert refused.json()["faults"] == dry.json()["faults"]
    assert [(one["row"], one["column"], one["fault"]) for one in dry.json()["faults"]] == [
        (3, "vi", "formula"),
        (3, "modality", "not_a_modality"),
        (4, "kind", "unknown_kind"),
    ]
    assert (await site.get("rows")).json()["rows"] == []


async def test_import_tells_its_difference_first_and_can_be_taken_back(site: Site) -> None:
    """REQ-MAP-04: a dry run writes nothing; a rollback is a version of its own; who and when are on record."""
    await site.takes(a_service("A"), a_service("B"))
    file = mapping_files.as_workbook([a_service("B", vi="CT bụng"), a_service("C")])

    dry = (await site.post("check?whole=true", file)).json()
    same = (await site.get("rows")).json()
    done = (await site.post("import?whole=true&base=1", file)).json()
    back = (await site.post("rollback", version=1, base=2)).json()
    rows = (await site.get("rows")).json()

    assert (len(dry["added"]), len(dry["changed"]), len(dry["removed"]), dry["unchanged"]) == (1, 1, 1, 0)
    assert dry["changed"][0]["columns"] == [{"column": "vi", "before": "CT ngực", "after": "CT bụng"}]
    assert (same["version"], done["version"], back["version"]) == (1, 2, 3)
    assert [row["code"] for row in rows["rows"]] == ["A", "B"]
    audit = [event.data for event in await site.assembly.told(AUDIT_RECORDED)]
    assert [(one.action, one.actor, one.object_id) for one in audit] == [
        ("change_mapping", INTEGRATOR, str(version)) for version in (1, 2, 3)
    ]


async def test_row_for_a_link_that_sent_nothing_is_warned_of_and_taken(site: Site) -> None:
    """REQ-MAP-04: a mistyped link maps nothing, in silence; one that will be connected tomorrow is right."""
    await site.assembly.hears_orders(asked())

    dry = (
        await site.post("check", mapping_files.as_csv([a_service("A", link="hiss"), a_service("B", link="his")]))
    ).json()

    assert dry["warnings"] == ["link: no link 'hiss' has sent an order here; there are his"]
    assert (len(dry["added"]), dry["faults"]) == (2, [])


async def test_import_over_somebody_elses_change_is_refused(site: Site) -> None:
    """REQ-MAP-04: what was looked at is no longer what counts."""
    await site.takes(a_service("A"))

    answer = await site.post("import?base=0", mapping_files.as_csv([a_service("B")]))

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:mapping-moved")


async def test_row_is_filled_in_at_its_place_and_exported(site: Site) -> None:
    """REQ-MAP-03: what the page adds is in the file, and the link's place of the accession number is shown."""
    await site.assembly.hears_orders(asked())
    row = a_service(link="his").model_dump(mode="json", exclude_defaults=True)

    made = (await site.post("change", rows=[row], base=0)).json()
    csv, book = await site.get("file?form=csv"), await site.get("file?form=xlsx")
    view = (await site.get("rows")).json()
    gone = (await site.post("change", removed=[{"kind": "service", "link": "his", "code": "CTNGUC"}])).json()

    assert made["version"] == 1
    assert mapping_files.read(csv.content) == mapping_files.read(book.content) == (a_service(link="his"),)
    assert csv.headers["content-disposition"] == 'attachment; filename="mapping-1.csv"'
    assert view["links"] == [{"link": "his", "accession_places": []}]
    assert len(gone["removed"]) == 1


@pytest.mark.parametrize("user", [OPERATOR, READER, None])
async def test_mapping_is_for_integrators(site: Site, user: str | None) -> None:
    """REQ-MAP-02."""
    answer = await site.get("rows", as_user=user)

    assert answer.status_code == (401 if user is None else 403)


async def test_version_made_while_orders_come_is_seen_by_the_next_batch(site: Site) -> None:
    """A process keeps a mapping by what it holds, so a new version counts at once and an old one comes back unread."""
    await site.takes(a_service(vi="Một"))
    await site.assembly.hears_orders(asked())
    await site.takes(a_service(vi="Hai"))

    await site.assembly.hears_orders(asked(1, "XO", priority="S"))

    (order,) = await site.assembly.orders()
    assert order.procedure is not None
    assert order.procedure.text == "Hai"
    assert isinstance(order.order_id, UUID)
    assert await site.assembly.told(CASES_CHANGED) == []


async def _types(site: Site, monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    """Type a command against the installation, with its front on a socket."""

    def the_api(_: Any) -> Api:
        api = Api("http://127.0.0.1:8080", site.review.token(INTEGRATOR), prefix="/mapping")
        way = httpx.HTTPTransport(uds=str(folder / "front.sock"))
        api._client = httpx.Client(transport=way, base_url=api._client.base_url, headers=api._client.headers)
        return api

    monkeypatch.setattr("overread.cli.mapping._api", the_api)
    async with serving(site.review.api, folder / "front.sock"):
        return await asyncio.to_thread(main, ["mapping", *words])


async def test_commands_do_what_the_page_does(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-MAP-03: unmapped codes as a file to fill in, checked, imported, shown in the history, exported, taken back."""
    await site.assembly.hears_orders(asked())
    file = tmp_path / "todo.csv"

    codes = [await _types(site, monkeypatch, tmp_path, "unmapped", "--csv")]
    logged = capsys.readouterr().out.partition("kind;")  # what the services of this process log comes before it
    filled_in = "".join(logged[1:]).replace("KHOA CDHA;;;;;", "KHOA CDHA;;;;Khoa CĐHA;")
    file.write_text(filled_in, encoding="utf-8")
    codes += [
        await _types(site, monkeypatch, tmp_path, "check", str(file)),
        await _types(site, monkeypatch, tmp_path, "import", str(file), "--yes"),
        await _types(site, monkeypatch, tmp_path, "unmapped"),
        await _types(site, monkeypatch, tmp_path, "history"),
        await _types(site, monkeypatch, tmp_path, "export", str(tmp_path / "all.xlsx")),
        await _types(site, monkeypatch, tmp_path, "rollback", "0", "--yes"),
    ]
    said = capsys.readouterr()

    assert codes == [0] * 7
    assert "todo.csv: 3 rows (1 doctor, 1 service, 1 ward), nothing is wrong" in said.out
    assert "added    service CTNGUC (99HIS) on link his: vi CT ngực" in said.out
    assert "version 1 counts now; 1 open orders" in said.out
    assert "every code that came is mapped" in said.err
    assert f"{INTEGRATOR}  import  +3 ~0 -0, 3 rows" in said.out
    assert "removed  service CTNGUC (99HIS) on link his" in said.out
    assert len(mapping_files.read((tmp_path / "all.xlsx").read_bytes())) == 3
    assert (await site.get("rows")).json()["rows"] == []


async def test_commands_refuse_what_the_page_refuses(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-MAP-04: a file with a fault, and a change that nobody confirmed."""
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("kind;code;vi\nservice;A;=1\n", encoding="utf-8")
    right.write_bytes(mapping_files.as_csv([a_service()]))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    codes = [await _types(site, monkeypatch, tmp_path, "import", str(file)) for file in (wrong, right)]
    said = capsys.readouterr()

    assert codes == [1, 1]
    assert "row 2, vi: a formula is never read; put its value into the cell\nnothing was taken" in said.out
    assert "give --yes" in said.err
    assert (await site.get("rows")).json()["version"] == 0


async def test_large_file_is_judged_by_assembly_in_words(site: Site) -> None:
    """The front lets files of this size through, and assembly names its own bound."""
    answer = await site.post("check", b"x" * (mapping_files.MOST_BYTES + 1))

    assert answer.status_code == 200
    assert [fault["fault"] for fault in answer.json()["faults"]] == ["too_large"]
