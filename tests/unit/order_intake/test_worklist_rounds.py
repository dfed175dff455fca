"""Rounds of a worklist: only what is new or changed is kept, also after a restart, and nothing ends because it is gone."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.order_statements import OrderForm, OrderReceived
from overread.order_intake.worklist_query import Worklist
from overread.order_intake.worklist_rounds import WorklistRounds, questions
from overread.protocols.dicom.modality_worklist import Question, WorklistItem
from tests.builders.events import NOON
from tests.builders.worklist import a_read_item, a_worklist_link
from tests.fakes.hl7_intake import FakeClock
from tests.fakes.order_intake import OrderBroker, an_order_intake
from tests.fakes.order_sources import Keeper

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
TODAY = f"{NOON.astimezone(HANOI):%Y%m%d}"


class Listing:
    """A RIS whose answer a test sets."""

    def __init__(self) -> None:
        self.worklist = Worklist(items=())
        self.asked: list[Question] = []

    def say(self, *items: WorklistItem, **changed: Any) -> None:
        self.worklist = Worklist(items=items, **changed)

    async def ask(self, question: Question) -> Worklist:
        self.asked.append(question)
        return self.worklist


class Asking:
    """Rounds, what they ask, and where they keep."""

    def __init__(self, keeper: Keeper | None = None, **changed: Any) -> None:
        self.ris, self.keeper, self.clock = Listing(), keeper or Keeper(), FakeClock(NOON)
        self.link = a_worklist_link(**changed)
        self.rounds = self.begun()

    def begun(self) -> WorklistRounds:
        """Return rounds as after a start of the service."""
        return WorklistRounds(self.link, self.ris.ask, self.keeper.keep, HANOI, self.clock)

    async def hear(self, *items: WorklistItem, **changed: Any) -> str | None:
        self.ris.say(*items, **changed)
        return await self.rounds.round()

    def restart(self) -> None:
        """Begin anew with what the topic's tail says, newest first."""
        self.rounds = self.begun()
        for message_id in reversed(self.keeper.kept):
            self.rounds.recall(received(message_id, self.keeper))

    @property
    def actions(self) -> list[str]:
        return [statement.action.value for statement in self.keeper.kept.values()]


def received(message_id: str, keeper: Keeper) -> OrderReceived:
    return OrderReceived(
        link_id="ris",
        form=OrderForm.MODALITY_WORKLIST,
        media_type="application/dicom",
        message_id=message_id,
        digest="0" * 64,
        received_at=NOON,
        statement=keeper.kept[message_id],
    )


def an_item(number: int = 1, **step: str) -> WorklistItem:
    return a_read_item(number, step={"ScheduledProcedureStepStartDate": TODAY, **step})


async def test_what_reads_as_before_is_not_kept_again() -> None:
    """REQ-NON-31: only what is new or reads differently is kept."""
    asking = Asking()

    for _ in range(3):
        await asking.hear(an_item(1), an_item(2))
    await asking.hear(an_item(1, ScheduledProcedureStepStartTime="1500"), an_item(2))

    assert len(asking.keeper.calls) == 3


async def test_a_restart_says_nothing_that_was_said() -> None:
    """REQ-NON-31: what was kept is known again from the topic's tail."""
    asking = Asking()
    await asking.hear(an_item(1), an_item(2))

    asking.restart()
    await asking.hear(an_item(1), an_item(2), an_item(3))

    assert len(asking.keeper.calls) == 3


async def test_a_restart_that_knows_nothing_repeats_under_the_same_ids() -> None:
    """REQ-NON-31: ids are the same for the same words, so a repeat makes no second order."""
    asking = Asking()
    await asking.hear(an_item(1), an_item(2))

    asking.rounds = asking.begun()
    await asking.hear(an_item(1), an_item(2))

    assert (len(asking.keeper.calls), len(asking.keeper.kept)) == (4, 2)


async def test_an_order_that_is_moved_and_moved_back_is_told_each_time() -> None:
    """REQ-NON-31: an id holds what was said before, else the third would pass for the first."""
    asking = Asking()

    for hour in ("08", "10", "08"):
        await asking.hear(an_item(1, ScheduledProcedureStepStartTime=hour))
        asking.restart()

    assert len(asking.keeper.kept) == 3


@pytest.mark.parametrize("restarts", [False, True])
async def test_the_same_words_after_the_same_words_are_told_again(*, restarts: bool) -> None:
    """REQ-NON-31: else a second cancellation passes for the first, and the order stays open."""
    asking = Asking()

    for status in ("SCHEDULED", "CANCELED") * 3:
        await asking.hear(an_item(1, ScheduledProcedureStepStatus=status))
        if restarts:
            asking.restart()

    assert asking.actions == ["change", "cancel", "new", "cancel", "new", "cancel"]


async def test_an_order_that_is_gone_again_is_held_again() -> None:
    """REQ-NON-32: for every time that it is gone."""
    asking = Asking(disappeared="hold_for_desk")

    for items in ((an_item(1),), ()) * 2:
        await asking.hear(*items)

    assert asking.actions == ["change", "hold", "release", "hold"]


async def test_second_cancellation_reaches_the_topic() -> None:
    """REQ-NON-31: the intake, which knows repeats by their ids, takes it for none."""
    broker, asking = OrderBroker(), Asking()
    intake = an_order_intake(broker, clock=asking.clock)
    asking.rounds = WorklistRounds(asking.link, asking.ris.ask, intake.keep, HANOI, asking.clock)

    for status in ("SCHEDULED", "CANCELED") * 2:
        await asking.hear(an_item(1, ScheduledProcedureStepStatus=status))

    assert [event.data.statement.action.value for event in broker.events] == ["change", "cancel", "new", "cancel"]


async def test_an_order_that_was_off_the_list_for_a_moment_is_told_when_it_is_back() -> None:
    """REQ-NON-31: one without a day of its own is forgotten no sooner than on the next, when ids are others."""
    asking = Asking()
    undated = {"ScheduledProcedureStepStartDate": "", "ScheduledProcedureStepStartTime": ""}

    await asking.hear(an_item(1, **undated))
    await asking.hear(an_item(1, ScheduledProcedureStepStatus="CANCELED", **undated))
    await asking.hear()
    await asking.hear(an_item(1, **undated))

    assert asking.actions == ["change", "cancel", "new"]


async def test_what_could_not_be_kept_is_kept_in_the_next_round() -> None:
    asking = Asking(Keeper(unavailable_after=1))
    with pytest.raises(Unavailable):
        await asking.hear(an_item(1), an_item(2))

    asking.keeper.unavailable_after = None
    await asking.hear(an_item(1), an_item(2))

    assert sorted(asking.keeper.numbers()) == ["ORD1", "ORD2"]


async def test_an_order_that_is_gone_is_left_as_it_is() -> None:
    """REQ-NON-32: it may be under way; nobody said that it is cancelled."""
    asking = Asking()
    await asking.hear(an_item(1))

    await asking.hear()

    assert asking.actions == ["change"]


async def test_an_order_that_is_gone_is_held_where_the_link_says_so_and_released_when_it_is_back() -> None:
    asking = Asking(disappeared="hold_for_desk")
    await asking.hear(an_item(1))

    await asking.hear()
    await asking.hear()
    asking.restart()
    await asking.hear(an_item(1))
    await asking.hear(an_item(1))

    assert asking.actions == ["change", "hold", "release"]


@pytest.mark.parametrize("changed", [{"is_complete": False}, {"undecodable": 1}])
async def test_of_an_answer_that_is_not_whole_nothing_is_gone(changed: dict[str, Any]) -> None:
    asking = Asking(disappeared="hold_for_desk")
    await asking.hear(an_item(1))

    await asking.hear(**changed)

    assert asking.actions == ["change"]


async def test_an_order_whose_day_is_over_is_not_gone_but_done_with() -> None:
    asking = Asking(disappeared="hold_for_desk")
    await asking.hear(an_item(1))

    asking.clock.now += timedelta(days=3)
    await asking.hear()

    assert asking.actions == ["change"]


async def test_an_order_that_ended_is_not_held_and_is_opened_when_it_is_listed_again() -> None:
    asking = Asking(disappeared="hold_for_desk")

    await asking.hear(an_item(1))
    await asking.hear(an_item(1, ScheduledProcedureStepStatus="CANCELED"))
    await asking.hear()
    await asking.hear(an_item(1))

    assert asking.actions == ["change", "cancel", "new"]


async def test_an_item_that_is_no_order_is_a_warning_of_the_link() -> None:
    """REQ-NON-33: the others are taken."""
    asking = Asking()

    warning = await asking.hear(an_item(1), a_read_item(2, PatientID=""))

    assert warning == "1 items of the worklist can't be taken: overread orders worklist --link ris"
    assert asking.keeper.numbers() == ["ORD1"]


async def test_an_answer_that_was_cut_off_is_a_warning_of_the_link() -> None:
    assert "cut off at 1 items" in (await Asking().hear(an_item(1), is_complete=False) or "")


def test_the_window_is_asked_for_in_pages_of_days() -> None:
    day = date(2026, 11, 22)

    asked = list(questions(a_worklist_link(days_before=1, days_after=3, days_at_once=2), day))

    assert [(one.first_day.day, one.last_day.day) for one in asked] == [(21, 22), (23, 24), (25, 25)]
    assert len(list(questions(a_worklist_link(), day))) == 1


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"called_ae_title": "A" * 17}, "at most 16"),
        ({"charset": "UTF-8"}, "no defined term"),
        ({"ca_file": "/x.pem"}, "need uses_tls"),
        ({"disappeared": "cancel"}, "hold_for_desk"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_told(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        a_worklist_link(**changed)
