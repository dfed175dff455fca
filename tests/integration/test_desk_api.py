"""The desk behind the front: who may ask, and what a reconciler is told."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from overread.assembly.patients import fold
from overread.assembly.web import build
from overread.contracts.identifiers import case_id_for
from overread.contracts.topics import AUDIT_RECORDED, HL7_RECEIVED
from tests.builders.events import STUDY
from tests.builders.orders import ACCESSION, an_order
from tests.builders.patients import MR, OLD, an_adt
from tests.builders.vietnamese import LETTERS
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

    async def shown(self, path: str) -> Any:
        """Return what a reconciler is shown."""
        answer = await self.asked(path)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    async def sends(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Decide something as the reconciler."""
        async with self.review.client(RECONCILER) as client:
            return await client.post(path, json=body)

    async def pair(self) -> dict[str, Any]:
        """Return the one order and the one study side by side."""
        [order] = await self.assembly.orders()
        case_id = case_id_for(self.assembly.site_id, STUDY)
        shown: dict[str, Any] = await self.shown(f"/desk/pairs/{case_id}/{order.order_id}")
        return shown

    async def decides(self, kind: str, reason: str = "", **changed: Any) -> httpx.Response:
        """Decide about the one order and the one study, as they are shown now."""
        pair = await self.pair()
        body = {
            "kind": kind,
            "case_id": pair["study"]["case_id"],
            "order_id": pair["order"]["order_id"],
            "version": pair["version"],
            "reason": reason,
        }
        return await self.sends("/desk/decisions", body | changed)

    async def asked(self, path: str, *, as_user: str | None = RECONCILER) -> Any:
        """Ask as somebody, at the time that assembly has."""
        self.review.clock.now = self.assembly.clock.now
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
        ("/messages/nothing/at/all", {INTEGRATOR: 404, OPERATOR: 404}),
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


OTHERS: dict[str, Any] = {"patient_id": "TEST-9999^^^HIS^PI"}


async def test_order_of_another_patient_is_attached_on_a_persons_word_alone(desk: Desk) -> None:
    """REQ-DSK-03: it needs the word that both are one patient, and why; the case then has the order."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())

    bare = await desk.decides("attach", "same person, new card")
    reasonless = await desk.decides("attach", despite_conflict=True)
    done = await desk.decides("attach", "same person, new card", despite_conflict=True)

    assert [answer.status_code for answer in (bare, reasonless, done)] == [409, 422, 200]
    assert bare.json()["type"] == "urn:overread:problem:patients-conflict"
    assert await desk.assembly.told_of_cases() == ["OrderLinked"]
    assert len(await desk.assembly.links()) == 1
    assert await desk.assembly.desk() == []


async def test_later_messages_never_overturn_a_decision(desk: Desk) -> None:
    """REQ-DSK-04: a detached order stays away, whatever its sender and the scanner say; nobody links it again."""
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("detach", "the technician took the wrong order")

    await desk.assembly.hears_orders(an_order(1, "XO", put={"OBR-4": "CT2^CT again^L"}))
    await desk.assembly.hears_images(desk.assembly.image(2))

    assert await desk.assembly.links() == set()
    assert await desk.assembly.told_of_cases() == ["OrderLinked", "OrderChangedOnCase"]
    assert await desk.assembly.desk() == []


async def test_what_speaks_against_a_decision_later_is_a_new_entry(desk: Desk) -> None:
    """REQ-DSK-04: the order stays attached, and the desk says what came since."""
    await desk.assembly.hears_orders(an_order(accession="TEST-ACC-2", study="1.2.3.4"))
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("attach", "the accession number was typed wrong")

    await desk.assembly.hears_orders(an_order(1, "XO", accession=ACCESSION, **OTHERS))

    assert await desk.assembly.desk() == [
        "a person attached this order to the study; since then: patient identifiers differ"
    ]
    assert len(await desk.assembly.links()) == 1


async def test_order_kept_apart_that_comes_to_agree_is_a_new_entry(desk: Desk) -> None:
    """REQ-DSK-04: it stays apart until a person decides again."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("keep_apart", "another patient's order")

    await desk.assembly.hears_orders(an_order(1, "XO"))

    assert await desk.assembly.desk() == [
        "a person kept this order apart from the study; since then numbers and patient agree"
    ]
    assert await desk.assembly.links() == set()


async def test_second_of_two_who_decide_at_once_is_told_to_look_again(desk: Desk) -> None:
    """REQ-DSK-05: nobody decides about what they have not seen."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    seen = (await desk.pair())["version"]
    first = await desk.decides("keep_apart", "another patient's order", version=seen)

    second = await desk.decides("attach", "the same person", despite_conflict=True, version=seen)

    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["type"] == "urn:overread:problem:stale"
    assert "look again" in second.json()["detail"]


async def test_undone_decision_gives_way_to_what_held_before(desk: Desk) -> None:
    """REQ-DSK-06: first the decision before it, then the numbers."""
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image())
    decision = (await desk.decides("detach", "wrong order")).json()

    undo = {"decision_id": decision["decision_id"], "version": (await desk.pair())["version"], "reason": "it was right"}
    answer = await desk.sends("/desk/undo", undo)
    again = await desk.sends("/desk/undo", undo | {"version": (await desk.pair())["version"]})

    assert (answer.status_code, again.status_code) == (200, 409)
    assert await desk.assembly.told_of_cases() == ["OrderLinked", "OrderChangedOnCase", "OrderLinked"]
    shown = await desk.shown("/desk/decisions")
    assert [(one["kind"], one["is_undone"]) for one in shown["items"]] == [("undo", False), ("detach", True)]


async def test_dismissed_entry_stays_away_until_the_doubt_is_another_one(desk: Desk) -> None:
    """REQ-DSK-06: with a reason, and undone by a person alone."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    [entry] = (await desk.shown("/desk/entries"))["items"]
    asked = {
        "kind": entry["kind"],
        "subject": entry["subject"],
        "case_id": entry["case_id"],
        "entry_reason": entry["reason"],
        "version": entry["version"],
    }

    reasonless = await desk.sends("/desk/dismissals", asked | {"reason": " "})
    done = await desk.sends("/desk/dismissals", asked | {"reason": "a test of the scanner"})
    await desk.assembly.hears_orders(an_order(1, "XO", put={"OBR-4": "CT2^CT^L"}, **OTHERS))
    while_dismissed = await desk.assembly.desk()
    undo = {"decision_id": done.json()["decision_id"], "reason": "no test after all"}
    undone = await desk.sends("/desk/undo", undo)

    assert [answer.status_code for answer in (reasonless, done, undone)] == [422, 200, 200]
    assert while_dismissed == []
    assert await desk.assembly.desk() == ["patient identifiers differ"]


async def test_no_second_patient_comes_onto_a_case(desk: Desk) -> None:
    """REQ-DSK-03: a report has one patient; who was attached goes first."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("attach", "same person, new card", despite_conflict=True)

    await desk.assembly.hears_orders(an_order(2, placer="TEST-PLACER-2^HIS"))

    assert len(await desk.assembly.links()) == 1
    assert await desk.assembly.desk() == ["a person attached an order of another patient to this study"]


async def test_study_without_an_order_is_shown_with_orders_that_may_be_its(desk: Desk) -> None:
    """REQ-DSK-01: two digits changed places at the scanner; the best candidate says so."""
    await desk.assembly.hears_orders(an_order(accession="TEST-ACC-12", study="1.2.3.4"))
    await desk.assembly.hears_orders(an_order(5, placer="OTHER^HIS", accession="ZZZ-99-77", study="1.2.3.5", **OTHERS))
    await desk.assembly.hears_images(desk.assembly.image(attributes={"accession_number": "TEST-ACC-21"}))
    await desk.assembly.waits(700)

    [entry] = (await desk.shown("/desk/entries?kind=no_order"))["items"]
    shown = await desk.shown(f"/desk/cases/{entry['case_id']}")

    best = shown["candidates"][0]
    assert best["order"]["accession_number"] == "TEST-ACC-12"
    assert {"code": "accession_near", "field": "accession_number", "points": 20, "params": {"slip": "transposed"}} in (
        best["reasons"]
    )
    assert best["score"] > 50
    early = (await desk.shown("/desk/entries?kind=no_images"))["items"]
    assert len(early) == 2
    back = await desk.shown(f"/desk/orders/{best['order']['order_id']}")
    assert back["candidates"][0]["score"] == best["score"]


async def test_pages_of_the_desk_follow_each_other(desk: Desk) -> None:
    """REQ-DSK-07: each entry once."""
    await desk.assembly.hears_orders(*(an_order(n, placer=f"P{n}^HIS", accession=f"ACC-{n}0{n}") for n in range(5)))

    seen, after = [], ""
    while True:
        page = await desk.shown(f"/desk/entries?kind=no_images&limit=2&after={after}")
        seen += [item["order_id"] for item in page["items"]]
        after = page["next"]
        if not after:
            break

    assert len(seen) == len(set(seen)) == 5
    assert (await desk.asked("/desk/entries?kind=no_images&after=nowhere")).status_code == 422
    assert (await desk.asked("/desk/entries?kind=no_images&after=WyIyMDI2LTExLTIyIiwieCJd")).status_code == 422


async def test_who_looks_and_decides_is_recorded(desk: Desk) -> None:
    """REQ-DSK-08: also what was refused; never a word about the patient."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("attach", "same person")
    await desk.decides("keep_apart", "another patient's order")

    recorded = [event.data for event in await desk.assembly.told(AUDIT_RECORDED)]

    assert [(one.actor, one.action, one.outcome) for one in recorded] == [
        (RECONCILER, "desk_view", "done"),
        (RECONCILER, "desk_attach", "refused"),
        (RECONCILER, "desk_view", "done"),
        (RECONCILER, "desk_keep_apart", "done"),
    ]
    assert "9999" not in str(recorded)


async def test_name_in_the_index_is_folded_as_names_are_compared(desk: Desk) -> None:
    """REQ-DSK-02: all letters of Vietnamese; what the index does not find nobody is shown."""

    def patient(name: str) -> str:
        return json.dumps({"family_name": name, "given_name": ""})

    names = ["".join(LETTERS), "ĐẶNG  Thị^Hường", "", " ́"]

    folded = [await desk.assembly.service.pool.fetchval("SELECT fold_name($1)", patient(name)) for name in names]

    assert folded[:2] == [fold(name) for name in names[:2]]
    assert folded[2:] == [fold(name) for name in names[2:]]


async def test_late_order_of_images_without_a_number_is_found_by_its_patient_and_attached(desk: Desk) -> None:
    """REQ-DSK-02: the scanner sent no accession number; the order came an hour later, of the same patient."""
    await desk.assembly.hears_images(desk.assembly.image(attributes={"accession_number": None}))
    await desk.assembly.hears_orders(an_order(59, study="1.2.3.4"))

    case_id = case_id_for(desk.assembly.site_id, STUDY)
    [found] = (await desk.shown(f"/desk/cases/{case_id}"))["candidates"]
    done = await desk.decides("attach", "no number at the scanner")

    assert {"identifier_same"} <= {reason["code"] for reason in found["reasons"]}
    assert done.status_code == 200
    assert [order.accession_number for order in (await desk.assembly.case()).orders] == [ACCESSION]


async def test_one_order_belongs_to_both_studies_into_which_it_was_split(desk: Desk) -> None:
    """REQ-DSK-02: the scanner began a second study for the same order; each has it, and each report answers it."""
    second = f"{STUDY}.2"
    split = desk.assembly.image(2, study=second, attributes={"accession_number": None})
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image(), split)
    [order] = await desk.assembly.orders()
    case_id = case_id_for(desk.assembly.site_id, second)
    shown = await desk.shown(f"/desk/orders/{order.order_id}")

    pair = await desk.shown(f"/desk/pairs/{case_id}/{order.order_id}")
    body = {"kind": "attach", "case_id": str(case_id), "order_id": str(order.order_id), "version": pair["version"]}
    done = await desk.sends("/desk/decisions", body | {"reason": "the scanner split the study"})

    assert [one["is_linked"] for one in shown["candidates"]] == [True, False]
    assert done.status_code == 200
    assert {case for case, _ in await desk.assembly.links()} == {
        case_id,
        case_id_for(desk.assembly.site_id, STUDY),
    }


async def test_order_of_another_patients_accession_number_is_found_where_it_belongs(desk: Desk) -> None:
    """REQ-DSK-02: it lies on the desk beside the wrong images, and its own are the better candidate."""
    own = desk.assembly.image(
        2,
        study=f"{STUDY}.2",
        attributes={"accession_number": "TEST-ACC-7", "patient_id": "TEST-9999", "patient_name": "KHÁC^MỘT NGƯỜI"},
    )
    await desk.assembly.hears_images(desk.assembly.image(), own)
    await desk.assembly.hears_orders(an_order(study="1.2.3.4", **OTHERS))

    [entry] = (await desk.shown("/desk/entries"))["items"]
    shown = await desk.shown(f"/desk/orders/{entry['order_id']}")

    assert entry["case_id"] == str(case_id_for(desk.assembly.site_id, STUDY))
    assert shown["candidates"][0]["study"]["accession_numbers"] == ["TEST-ACC-7"]


SINCE = "a person attached this order to the study; since then: "


@pytest.mark.parametrize(
    ("ordered", "becomes", "doubt"),
    [
        ({}, "TEST-9999", "patient identifiers differ"),
        ({"patient_id": "TEST-9999^^^HIS^PI"}, "TEST-7777", "the order names another patient"),
    ],
)
async def test_attached_order_that_becomes_another_patients_is_a_new_entry(
    desk: Desk, ordered: dict[str, Any], becomes: str, doubt: str
) -> None:
    """REQ-DSK-13: also where no number agreed and none does, and where both already were two."""
    await desk.assembly.hears_orders(an_order(accession="TEST-ACC-2", study="1.2.3.4", **ordered))
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.decides("attach", "the accession number was typed wrong", despite_conflict=True)
    when_attached = await desk.assembly.desk()

    changed = an_order(1, "XO", accession="TEST-ACC-2", study="1.2.3.4", patient_id=f"{becomes}^^^HIS^PI")
    await desk.assembly.hears_orders(changed)

    assert (when_attached, await desk.assembly.desk()) == ([], [SINCE + doubt])
    again = await desk.decides("attach", "it is so", despite_conflict=True)
    assert (again.status_code, await desk.assembly.desk()) == (200, [])


async def test_numbers_of_an_attached_order_that_adt_parts_are_a_new_entry(desk: Desk) -> None:
    """REQ-DSK-13: no word about the order comes; its patient and the images' turn out to be two."""
    await hears_adt(desk, an_adt("A08", patient_id=f"{MR}~{OLD}"))
    await desk.assembly.hears_orders(an_order(patient_id=MR))
    await desk.assembly.hears_images(desk.assembly.image(attributes={"patient_id": "TEST-0009"}))
    await desk.decides("attach", "sure")

    other = an_adt("A01", 2, patient_id=OLD, name="NGUYEN^KHAC", birth_date="19500101")
    await hears_adt(desk, other, an_adt("A08", 3, patient_id=MR))

    [entry] = await desk.assembly.desk()
    assert entry.startswith(SINCE)
    assert len(await desk.assembly.links()) == 1


async def hears_adt(desk: Desk, *messages: bytes) -> None:
    """Let ADT say these."""
    b = desk.assembly
    await b.hears(HL7_RECEIVED, *(b.order(one, message_type="ADT", trigger_event="A08") for one in messages))


UNNAMED = dict.fromkeys(("patient_id", "patient_name", "patient_birth_date", "patient_sex"))
SECOND: dict[str, Any] = {
    "placer": "OTHER-2^HIS",
    "patient_id": "TEST-9999^^^HIS^PI",
    "put": {"PID-5": "KHAC^NGUOI", "PID-7": "19500101"},
}


async def test_second_patients_order_links_itself_to_no_study_that_has_one(desk: Desk) -> None:
    """REQ-DSK-03: an emergency's images name nobody; whose they are is not said twice, nor changed by a later word."""
    await desk.assembly.hears_images(desk.assembly.image(attributes=UNNAMED))
    await desk.assembly.hears_orders(an_order(), an_order(5, **SECOND | {"patient_id": MR, "put": {}}))
    both = len(await desk.assembly.links())

    await desk.assembly.hears_orders(an_order(6, "XO", **SECOND))

    assert (both, len(await desk.assembly.links())) == (2, 1)
    assert await desk.assembly.desk() == ["an order of another patient belongs to this study"]
    assert [one.id_number for one in (await desk.assembly.case()).patient.identifiers] == ["TEST-0001"]


async def test_second_patients_order_that_comes_later_is_the_desks(desk: Desk) -> None:
    """REQ-DSK-03: the first one's report does not go under it."""
    await desk.assembly.hears_images(desk.assembly.image(attributes=UNNAMED))

    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_orders(an_order(5, **SECOND))

    assert await desk.assembly.told_of_cases() == ["OrderLinked"]
    assert await desk.assembly.desk() == ["an order of another patient belongs to this study"]


async def test_orders_of_two_patients_that_wait_for_one_study_are_both_the_desks(desk: Desk) -> None:
    """REQ-DSK-03: which one the images are of is no matter of which comes first in a list."""
    await desk.assembly.hears_orders(an_order(), an_order(5, **SECOND))

    await desk.assembly.hears_images(desk.assembly.image(attributes=UNNAMED))

    assert await desk.assembly.links() == set()
    assert await desk.assembly.desk() == ["orders of two patients name this study"] * 2


async def test_other_patients_order_takes_no_study_from_whom_its_images_name(desk: Desk) -> None:
    """REQ-DSK-03: only orders that would link themselves stand in each other's way."""
    await desk.assembly.hears_orders(an_order(), an_order(5, **SECOND))

    await desk.assembly.hears_images(desk.assembly.image())

    assert [one.placer_order_number for one in (await desk.assembly.case()).orders] == ["TEST-PLACER-1"]
    assert len(await desk.assembly.desk()) == 1


async def decides_about(desk: Desk, placer: str, kind: str, **changed: Any) -> httpx.Response:
    """Decide about the one study and the order of that number, as they are shown now."""
    [order] = [one for one in await desk.assembly.orders() if one.placer_order_number == placer]
    case_id = case_id_for(desk.assembly.site_id, STUDY)
    pair = await desk.shown(f"/desk/pairs/{case_id}/{order.order_id}")
    body = {"kind": kind, "case_id": str(case_id), "order_id": str(order.order_id), "version": pair["version"]}
    return await desk.sends("/desk/decisions", body | {"reason": "why", "despite_conflict": True} | changed)


async def undoes(desk: Desk, decision: dict[str, Any], **changed: Any) -> httpx.Response:
    """Undo a decision about a pair, as it is shown now."""
    pair = await desk.shown(f"/desk/pairs/{decision['case_id']}/{decision['order_id']}")
    body = {"decision_id": decision["decision_id"], "version": pair["version"], "reason": "a slip"}
    return await desk.sends("/desk/undo", body | changed)


async def test_undoing_attaches_no_order_that_could_not_be_attached(desk: Desk) -> None:
    """REQ-DSK-03: the right order has come meanwhile."""
    await desk.assembly.hears_orders(an_order(accession="ACC-X", study="1.2.3.4", **OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    await decides_about(desk, "TEST-PLACER-1", "attach")
    detached = (await decides_about(desk, "TEST-PLACER-1", "detach")).json()
    await desk.assembly.hears_orders(an_order(5, placer="RIGHT-2^HIS"))

    refused = await undoes(desk, detached, despite_conflict=True)

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:overread:problem:two-patients")
    assert [one.placer_order_number for one in (await desk.assembly.case()).orders] == ["RIGHT-2"]


async def test_undoing_attaches_another_patients_order_on_a_persons_word_alone(desk: Desk) -> None:
    """REQ-DSK-03: as an attachment does."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    await decides_about(desk, "TEST-PLACER-1", "attach")
    detached = (await decides_about(desk, "TEST-PLACER-1", "detach")).json()

    bare = await undoes(desk, detached)
    done = await undoes(desk, detached, despite_conflict=True)

    assert (bare.status_code, bare.json()["type"]) == (409, "urn:overread:problem:patients-conflict")
    assert (done.status_code, len(await desk.assembly.links())) == (200, 1)


async def dismisses(desk: Desk, entry: dict[str, Any]) -> httpx.Response:
    """Dismiss an entry as it was shown."""
    seen = {name: entry[name] for name in ("kind", "subject", "case_id", "version")}
    return await desk.sends("/desk/dismissals", seen | {"entry_reason": entry["reason"], "reason": "a test"})


async def test_doubt_about_somebody_who_was_not_on_the_screen_is_not_dismissed(desk: Desk) -> None:
    """REQ-DSK-05: the reason reads the same, and the order is a third patient's meanwhile."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    [seen] = (await desk.shown("/desk/entries"))["items"]
    await desk.assembly.hears_orders(an_order(1, "XO", patient_id="TEST-7777^^^HIS^PI"))

    refused = await dismisses(desk, seen)
    [entry] = (await desk.shown("/desk/entries"))["items"]
    done = await dismisses(desk, entry)

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:overread:problem:stale")
    assert (done.status_code, await desk.assembly.desk()) == (200, [])
    assert (await dismisses(desk, entry | {"subject": "no order"})).status_code == 404


async def test_dismissal_ends_when_its_doubt_has_settled(desk: Desk) -> None:
    """REQ-DSK-06: it was the right patient's order in between; a third patient is another doubt in the same words."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    [entry] = (await desk.shown("/desk/entries"))["items"]
    await dismisses(desk, entry)

    await desk.assembly.hears_orders(an_order(1, "XO"))
    await desk.assembly.hears_orders(an_order(2, "XO", patient_id="TEST-7777^^^HIS^PI"))

    assert await desk.assembly.told_of_cases() == ["OrderLinked", "OrderChangedOnCase"]
    assert await desk.assembly.desk() == [entry["reason"]]


async def test_order_whose_numbers_moved_away_lies_on_the_desk_until_somebody_decides(desk: Desk) -> None:
    """REQ-OUT-04: a word about its priority settles nothing."""
    away: dict[str, Any] = {"accession": "OTHER-ACC", "study": "1.2.3.4"}
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.assembly.hears_orders(an_order(1, "XO", **away))

    await desk.assembly.hears_orders(an_order(2, "XO", priority="S", **away))
    undecided = await desk.assembly.desk()
    await desk.decides("keep_apart", "another examination")

    assert undecided == ["the order was linked, and its numbers no longer agree with the study"]
    assert await desk.assembly.desk() == []


async def test_order_whose_numbers_come_back_leaves_the_desk(desk: Desk) -> None:
    """REQ-OUT-04: it settled itself."""
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.assembly.hears_orders(an_order(1, "XO", accession="OTHER-ACC", study="1.2.3.4"))

    await desk.assembly.hears_orders(an_order(2, "XO"))

    assert (await desk.assembly.desk(), len(await desk.assembly.links())) == ([], 1)


@pytest.mark.parametrize(
    ("later", "lies", "links"),
    [
        ({}, [], 1),
        (OTHERS, ["patient identifiers differ"], 0),
        (OTHERS | {"put": {"PID-7": "19500101"}}, ["patient identifiers differ"], 0),
    ],
)
async def test_undone_dismissal_puts_back_what_is_in_doubt_now(
    desk: Desk, later: dict[str, Any], lies: list[str], links: int
) -> None:
    """REQ-DSK-06: nothing, where the order has become the right patient's and is linked."""
    await desk.assembly.hears_orders(an_order(**OTHERS))
    await desk.assembly.hears_images(desk.assembly.image())
    [entry] = (await desk.shown("/desk/entries"))["items"]
    dismissal = (await dismisses(desk, entry)).json()
    await desk.assembly.hears_orders(an_order(1, "XO", **later))

    undone = await desk.sends("/desk/undo", {"decision_id": dismissal["decision_id"], "reason": "no test"})

    assert (undone.status_code, await desk.assembly.desk(), len(await desk.assembly.links())) == (200, lies, links)


async def test_undone_dismissal_of_an_order_that_was_let_go_puts_it_back(desk: Desk) -> None:
    """REQ-DSK-06: its numbers agree no more than before."""
    await desk.assembly.hears_orders(an_order())
    await desk.assembly.hears_images(desk.assembly.image())
    await desk.assembly.hears_orders(an_order(1, "XO", accession="OTHER-ACC", study="1.2.3.4"))
    [entry] = (await desk.shown("/desk/entries"))["items"]
    dismissal = (await dismisses(desk, entry)).json()

    undone = await desk.sends("/desk/undo", {"decision_id": dismissal["decision_id"], "reason": "no test"})

    assert (undone.status_code, await desk.assembly.desk()) == (200, [entry["reason"]])
