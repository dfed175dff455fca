"""Assembly ends in the same state whatever the order of arrival of images, association ends and orders."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread.assembly import matching
from overread.contracts.events.orders import OrderStatus
from overread.contracts.identifiers import case_id_for, deterministic_id
from overread.contracts.topics import DICOM_RECEIVED, HL7_RECEIVED
from tests.builders.events import STUDY
from tests.builders.orders import a_cancellation, an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

pytestmark = pytest.mark.stack

OTHER_STUDY = f"{STUDY}.9"
BARE = ("OBR", "IPC", "TQ1")

ORDERS = {
    "ordered": an_order(0),
    "changed": an_order(1, control="XO", priority="S", clinical='""'),
    "other patient": an_order(2, placer="P2^HIS", accession="B", study=STUDY, patient_id="TEST-0002^^^HIS^PI"),
    "by accession alone": an_order(3, placer="P3^HIS", accession="C", study=OTHER_STUDY),
    "nobody's": an_order(4, placer="P4^HIS", accession="D", study=f"{STUDY}.8"),
}
IMAGES = ("a1", "a2", "b1", "b2", "other1", "end a", "end b", "end other", "a1 again")


@dataclass(frozen=True)
class State:
    """What assembly knows in the end, without when it came to know it."""

    orders: frozenset[str]
    links: frozenset[tuple[str, str]]
    desk: tuple[str, ...]
    images: tuple[tuple[str, ...], ...]

    def read(self) -> list[dict[str, Any]]:
        """Return the orders as plain data."""
        return [json.loads(order) for order in self.orders]


def arrivals(bench: AssemblyBench, name: str) -> Any:
    """Return the event called `name`: two series on two associations, and a study of its own on a third."""
    a, b = deterministic_id("association", "a"), deterministic_id("association", "b")
    second = {"series_instance_uid": f"{STUDY}.2", "accession_number": "C"}
    made: dict[str, Any] = {
        "a1": lambda: bench.image(1, association_id=a),
        "a1 again": lambda: bench.image(1, association_id=a),
        "a2": lambda: bench.image(2, association_id=a),
        "b1": lambda: bench.image(3, association_id=b, attributes=second),
        "b2": lambda: bench.image(4, association_id=b, attributes=second),
        "other1": lambda: bench.image(1, study=OTHER_STUDY, association_id=a, attributes={"accession_number": None}),
        "end a": lambda: bench.closed(association_id=a),
        "end b": lambda: bench.closed(association_id=b),
        "end other": lambda: bench.closed(association_id=a, study=OTHER_STUDY),
    }
    return made[name]()


async def gone_through(dsn: str, folder: Path, batches: Sequence[Sequence[str]], orders: dict[str, bytes]) -> State:
    """Let a new site hear the batches, wait until every study is whole, and return what it knows then."""
    async with an_assembly_bench(dsn, folder) as bench:
        for batch in batches:
            if hl7 := [bench.order(orders[name]) for name in batch if name in orders]:
                await bench.hears(HL7_RECEIVED, *hl7)
            if dicom := [arrivals(bench, name) for name in batch if name not in orders]:
                await bench.hears(DICOM_RECEIVED, *dicom)
        await bench.waits(1_000)
        return State(
            orders=frozenset(order.model_dump_json(exclude={"order_id"}) for order in await bench.orders()),
            links=frozenset(await _named(bench)),
            desk=tuple(await bench.desk()),
            images=tuple([tuple(await _images(bench, study)) for study in (STUDY, OTHER_STUDY)]),
        )


async def _named(bench: AssemblyBench) -> set[tuple[str, str]]:
    placers = {order.order_id: order.placer_order_number for order in await bench.orders()}
    studies = {case_id_for(bench.site_id, study): study for study in (STUDY, OTHER_STUDY)}
    return {(studies[case_id], placers[order_id]) for case_id, order_id in await bench.links()}


async def _images(bench: AssemblyBench, study: str) -> list[str]:
    manifest = await bench.manifest(study)
    return [instance.sop_instance_uid for series in manifest.series for instance in series.instances]


@st.composite
def any_batches(draw: st.DrawFn, names: Sequence[str]) -> list[list[str]]:
    """Draw an order of arrival, cut into batches."""
    shuffled = draw(st.permutations(names))
    ends = sorted(draw(st.sets(st.integers(1, len(names) - 1), max_size=6)))
    return [list(shuffled[start:end]) for start, end in zip([0, *ends], [*ends, len(names)], strict=True)]


EXPECTED_IMAGES = (
    tuple(f"{STUDY}.1.{number}" for number in (1, 2, 3, 4)),
    (f"{OTHER_STUDY}.1.1",),
)

bounded = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@bounded
@given(batches=any_batches([*ORDERS, *IMAGES]))
def test_assembly_ends_in_the_same_state_for_any_order_of_arrival(
    stack: Any, tmp_path: Path, batches: list[list[str]]
) -> None:
    """Orders before images, after them, between them; several batches or one: the same orders, links and studies."""
    state = asyncio.run(gone_through(stack.endpoints.dsn("assembly"), tmp_path, batches, ORDERS))

    assert state.images == EXPECTED_IMAGES
    assert state.links == {
        (STUDY, "TEST-PLACER-1"),
        (STUDY, "P3"),
        (OTHER_STUDY, "P3"),
    }
    assert state.desk == ("patient identifiers differ",)
    assert len(state.orders) == 4
    assert any('"priority":"S"' in order and '"clinical_information":""' in order for order in state.orders)


@bounded
@given(batches=any_batches(["ordered", "changed", "cancelled", *IMAGES]))
def test_cancelled_order_is_visible_whenever_its_cancellation_comes(
    stack: Any, tmp_path: Path, batches: list[list[str]]
) -> None:
    """It stays on its case when it was linked, else it lies on the desk; in no order is it active or forgotten."""
    messages = {"ordered": ORDERS["ordered"], "changed": ORDERS["changed"], "cancelled": a_cancellation(2)}

    state = asyncio.run(gone_through(stack.endpoints.dsn("assembly"), tmp_path, batches, messages))

    (order,) = state.orders
    assert f'"status":"{OrderStatus.CANCELLED.value}"' in order
    assert '"accession_number":"TEST-ACC-1"' in order
    assert len(state.links) + len(state.desk) == 1
    assert state.images == EXPECTED_IMAGES


CONTROLS = {
    "new": an_order(0),
    "changed": an_order(1, control="XO", priority="S"),
    "accepted": an_order(2, control="OK", without=BARE, filler="F1^RIS"),
    "held": an_order(3, control="HD", without=BARE),
    "released": an_order(4, control="RL", without=BARE),
    "cancelled": an_order(5, control="CA", without=BARE),
    "not cancelled": an_order(6, control="UC", without=BARE, clinical="under way"),
    "replaced": an_order(7, control="RP", without=BARE),
    "replacement": an_order(7, control="RO", placer="P2^HIS", put={"ORC-8": "TEST-PLACER-1&HIS"}),
    "replacement held": an_order(8, control="OH", without=BARE, placer="P2^HIS"),
    "number asked for": an_order(8, control="SN", placer="", filler="F5^RIS", accession="E", study=f"{STUDY}.7"),
    "number given": an_order(9, control="NA", without=BARE, placer="P5^HIS", filler="F5^RIS"),
    "child": an_order(9, control="CH", filler="F9^RIS", put={"ORC-8": "TEST-PLACER-1&HIS"}),
}


@bounded
@given(batches=any_batches([*CONTROLS, *IMAGES, *(f"{name} again" for name in CONTROLS)]))
def test_orders_end_the_same_for_any_order_and_repetition_of_their_messages(
    stack: Any, tmp_path: Path, batches: list[list[str]]
) -> None:
    """REQ-ORD-04: new, changed, held, released, cancelled, refused, replaced, child, number given: each twice, in any batches."""
    messages = CONTROLS | {f"{name} again": raw for name, raw in CONTROLS.items()}

    state = asyncio.run(gone_through(stack.endpoints.dsn("assembly"), tmp_path, batches, messages))

    ends = {(order["placer_order_number"], order["status"], order["parent_order_number"]) for order in state.read()}
    assert ends == {
        ("TEST-PLACER-1", OrderStatus.CANCELLED, ""),
        ("P2", OrderStatus.HELD, "TEST-PLACER-1"),
        ("P5", OrderStatus.ACTIVE, ""),
        ("TEST-PLACER-1", OrderStatus.ACTIVE, "TEST-PLACER-1"),
    }
    assert matching.ON_HOLD in state.desk
    assert len(state.orders) == 4
    assert state.images == EXPECTED_IMAGES
