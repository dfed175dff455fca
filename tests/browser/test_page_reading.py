"""The reading view: images, findings, decision, signature; with the keyboard alone in test_page_with_keys.py."""

import json

import pytest
from playwright.sync_api import Locator, Route

from overread.embedded.places import CHECKOUT
from tests.browser.conftest import Cases
from tests.browser.hands import SHOWN, Hands, password_of
from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

CARD = CHECKOUT / "inference" / "model_repository" / "ct-lung-density" / "card.md"
PRESETS = {
    "CT": (
        ("2", "C 40 W 400"),
        ("3", "C 400 W 1800"),
        ("4", "C 40 W 80"),
        ("1", "C -600 W 1500"),
        ("2", "C 40 W 400"),
        ("5", "C -600 W 1500"),
    ),
    "MR": (
        ("2", "C 300 W 600"),
        ("3", "C 300 W 350"),
        ("4", "C 300 W 1600"),
        ("5", "C 300 W 2500"),
        ("1", "C 300 W 1000"),
    ),
}
"""What stands beside the picture after each key; it begins with what the image itself asks for, and so it ends."""
ORDER_WORDS = ("Ho kéo dài; theo dõi khí phế thũng", "CT Chest", "Thường", "MẪU")
MANY_GREYS = 50
NODULE_WORDS = "thuỳ trên, 8 mm"


def test_images_are_on_screen_and_the_overlay_is_a_switch(radiologist: Hands, cases: Cases) -> None:
    """What the model marked lies over the images, and `o` takes it away and brings it back."""
    radiologist.open(cases.normal[0])
    radiologist.wait_for_marks(are_there=True)

    radiologist.press("o")
    radiologist.wait_for_marks(are_there=False)
    radiologist.press("o")

    radiologist.wait_for_marks(are_there=True)
    assert radiologist.greys() > MANY_GREYS
    assert "AI, chưa xác nhận" in radiologist.page.locator(".legend").inner_text()


@pytest.mark.parametrize("modality", PRESETS)
def test_every_preset_of_the_modality_changes_the_picture(radiologist: Hands, cases: Cases, modality: str) -> None:
    """On the keys 1 to 5: fixed windows in Hounsfield units for CT, for others scaled from what the image asks for."""
    radiologist.open(cases.normal[0] if modality == "CT" else cases.brain)
    drawn = [radiologist.image_other_than()]

    for key, numbers in PRESETS[modality]:
        radiologist.press(key)
        radiologist.wait_for_window(numbers)
        drawn.append(radiologist.image_other_than(drawn[-1]))

    assert drawn[-1] == drawn[0]
    assert len(set(drawn)) == len({numbers for _, numbers in PRESETS[modality]})
    assert radiologist.page.locator(".tools kbd").all_inner_texts()[:5] == [*"12345"]


def test_scrolling_changes_the_picture(radiologist: Hands, cases: Cases) -> None:
    """Images by the arrows; the words beside the picture say which one it is."""
    radiologist.open(cases.normal[0])
    middle = radiologist.image_other_than()

    radiologist.press("End")
    radiologist.page.locator(".bottom-left", has_text="60 / 60").wait_for()
    last = radiologist.image_other_than(middle)
    radiologist.press("ArrowUp")

    radiologist.page.locator(".bottom-left", has_text="59 / 60").wait_for()
    assert radiologist.image_other_than(last) != middle


def test_order_stands_beside_the_images(radiologist: Hands, cases: Cases) -> None:
    """What was asked, why, by whom and how urgently, on the same screen as the picture, without scrolling."""
    visit = cases.normal[0]
    radiologist.open(visit)

    card = radiologist.page.locator("section[aria-labelledby=order]")

    assert [words for words in ORDER_WORDS if words not in card.inner_text()] == []
    assert visit.placer_order_number in card.inner_text()
    assert _is_beside(card, radiologist.page.locator(".picture"))


def test_finding_names_its_model_version_and_card(radiologist: Hands, cases: Cases) -> None:
    """Who measured, in which version, and what its makers say that it can't: each heading of the card, in a dialog."""
    radiologist.open(cases.normal[0])
    model = radiologist.page.locator("article.model[data-ai=found]")
    named = model.locator(".model-name").inner_text()

    model.locator(".model-name button").click()
    dialog = radiologist.page.locator("dialog[open]")
    told = dialog.inner_text()
    radiologist.press("Escape")

    assert named.startswith("CT lung density 1.0.0")
    assert [heading for heading in _card_headings() if heading not in told] == []
    assert "|" not in told
    dialog.wait_for(state="detached")


def test_probability_stands_beside_the_finding_in_percent(radiologist: Hands, cases: Cases) -> None:
    """How sure the model is has its unit, and is never taken for the measured value; a flagged value is marked."""
    radiologist.page.route("**/open", _as_if_found_with_probability)
    radiologist.page.route("**/reading", _as_if_found_with_probability)
    radiologist.open(cases.normal[0])

    finding = radiologist.page.locator("article.model .finding").first

    assert finding.locator(".how-much").inner_text() == "3993 ml"
    assert finding.locator(".probability").inner_text() == "xác suất 93 %"
    assert "abnormal" in (finding.get_attribute("class") or "").split()
    radiologist.page.unroute_all(behavior="ignoreErrors")


def test_length_is_measured_without_a_pointer(radiologist: Hands, cases: Cases) -> None:
    """`m` begins a length in the middle, arrows move its end, Delete takes it away."""
    radiologist.open(cases.normal[0])
    radiologist.wait_for_marks(are_there=True)
    radiologist.press("o")
    radiologist.wait_for_marks(are_there=False)

    radiologist.press("m", "ArrowRight", "ArrowDown")
    radiologist.wait_for_marks(are_there=True)
    radiologist.press("Delete")

    radiologist.wait_for_marks(are_there=False)


def test_what_was_taken_away_stays_away_while_the_browser_is_slow(radiologist: Hands, cases: Cases) -> None:
    """Chromium under load gave back an older buffer of a canvas that was cleared: a deleted length stood there again."""
    slow = radiologist.page.context.new_cdp_session(radiologist.page)
    radiologist.open(cases.normal[0])
    radiologist.wait_for_marks(are_there=True)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    radiologist.press("o")

    for _ in range(4):
        radiologist.press("m")
        radiologist.wait_for_marks(are_there=True)
        radiologist.press("Delete")
        for _ in range(4):
            radiologist.wait_for_marks(are_there=False)


def test_arrows_scroll_again_in_the_next_case(radiologist: Hands, cases: Cases) -> None:
    """A length that was begun in one case, and not ended, holds the arrows of no other."""
    radiologist.open(cases.normal[0])
    radiologist.press("m", "Escape")
    radiologist.row(cases.normal[1]).wait_for()
    radiologist.open(cases.normal[1])
    before = radiologist.page.locator(".bottom-left").inner_text()

    radiologist.press("ArrowDown")

    radiologist.page.locator(".bottom-left", has_not_text=before).wait_for()


def test_normal_film_is_signed_with_three_keys_and_the_next_opens(
    radiologist: Hands, hospital: Hospital, cases: Cases
) -> None:
    """Enter opens and takes it, `a` accepts, `s` signs what is then shown; the EMR gets F."""
    visit = cases.stat
    radiologist.row(visit).locator("a.row-link").focus()

    radiologist.press("Enter")
    radiologist.shown(visit)
    radiologist.press("a")
    radiologist.say("Bạn sắp ký")
    shown = radiologist.page.locator(".signing").inner_text()
    radiologist.press("s")

    assert visit.patient_id in shown
    assert "3993 ml" in shown
    radiologist.page.locator(".case-head", has_not_text=visit.accession_number).wait_for()
    radiologist.page.locator(SHOWN).wait_for()
    final = hospital.final(visit)
    assert final.findings["lung-volume-ct"] == "3993"


def test_nothing_is_decided_before_the_reader_decides(radiologist: Hands, cases: Cases) -> None:
    """`s` alone signs nothing, and no finding is ticked beforehand."""
    radiologist.open(cases.normal[0])

    radiologist.press("s")
    radiologist.say("Hãy quyết định trước")
    radiologist.press("c")
    radiologist.page.locator("form.change").wait_for()

    assert radiologist.page.locator("form.change input:checked").count() == 0
    radiologist.page.locator("form.change button[type=submit]").click()
    radiologist.say("Hãy chọn giữ, sửa hay bỏ cho từng kết quả")


def test_changed_value_and_missed_finding_are_what_is_sent(
    radiologist: Hands, hospital: Hospital, cases: Cases
) -> None:
    """The report states the clinician's findings; side and words of what the AI missed stand in the conclusion."""
    visit = cases.normal[1]
    radiologist.open(visit)
    radiologist.press("c")
    form = radiologist.page.locator("form.change")
    form.locator("input[name=finding-0]").nth(1).check()
    form.locator(".value input").fill("4100,5")
    form.get_by_text("Giữ các kết quả còn lại").click()
    label = form.locator(".add-missed option").nth(1).inner_text()
    form.locator(".add-missed select").select_option(index=1)
    form.locator(".add-missed button").click()
    form.locator(".one-missed select").select_option("left")
    form.locator(".one-missed input").fill(NODULE_WORDS)
    form.locator(".checks input").nth(2).check()

    radiologist.press("Control+Enter")
    shown = radiologist.page.locator(".signing").inner_text()
    radiologist.press("s")

    assert "4100,5 ml" in shown
    final = hospital.final(visit)
    assert final.findings["lung-volume-ct"] == "4100.5"
    told = final.raw.decode("utf-8")
    assert f"{label}: bên trái, {NODULE_WORDS}." in told
    report = hospital.user().report(visit)
    assert report is not None
    assert report["document"]["ai_results"][0]["findings"][0]["value"] == "3993"
    assert report["document"]["verdict_reasons"] == ["wrong_value", "missed_finding"]


def test_rejecting_asks_for_a_reason(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """The AI's findings are not stated; why, is kept."""
    visit = cases.normal[2]
    radiologist.open(visit)
    radiologist.press("r")
    radiologist.press("Control+Enter")
    form = radiologist.page.locator("form.change")
    form.wait_for()
    form.locator("button[type=submit]").click()
    radiologist.say("Hãy chọn ít nhất một lý do")
    form.locator(".checks input").nth(0).check()
    form.locator("button[type=submit]").click()
    radiologist.page.locator(".signing").wait_for()

    radiologist.press("s")

    final = hospital.final(visit)
    assert "lung-volume-ct" not in final.findings
    report = hospital.user().report(visit)
    assert report is not None
    assert report["document"]["verdict"] == "rejected"
    assert report["document"]["verdict_reasons"] == ["false_positive"]


def test_case_goes_back_with_a_typed_reason(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """Sent back, nothing leaves; the next reader sees why."""
    visit = cases.normal[3]
    radiologist.open(visit)

    radiologist.press("b")
    radiologist.page.locator("dialog select").select_option("poor_image_quality")
    radiologist.page.locator("dialog button[type=submit]").click()
    wait_until(lambda: _state(hospital, visit) == "rejected", "the case to be sent back", 20.0)

    radiologist.go(f"/case/{_case_id(hospital, visit)}")
    radiologist.say("Ca này đã bị trả lại")
    radiologist.say("Ảnh kém chất lượng")
    assert hospital.emr.about(visit.study_instance_uid, "F") == []


def test_decision_about_a_draft_that_changed_is_void(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """Guard of the digest: what one signs is what one saw, and the page says what to do."""
    visit = cases.normal[4]
    radiologist.open(visit)
    radiologist.press("a")
    radiologist.page.locator(".signing").wait_for()
    radiologist.page.route("**/sign", _with_other_digest)

    radiologist.press("s")

    radiologist.say("Bản nháp đã đổi trong lúc bạn đọc")
    assert radiologist.page.locator(".signing").count() == 0
    assert _state(hospital, visit) == "in_review"


def test_old_sign_in_is_renewed_and_comes_back_to_the_decision(
    radiologist: Hands, hospital: Hospital, cases: Cases
) -> None:
    """Signing asks for a fresh sign-in; afterwards the reader is where he was, with his decision as it was."""
    visit = cases.normal[5]
    radiologist.open(visit)
    radiologist.page.route("**/reading", _as_if_signed_in_long_ago)
    radiologist.page.route("**/open", _as_if_signed_in_long_ago)
    radiologist.press("Escape")
    radiologist.row(visit).wait_for()
    radiologist.open(visit)
    radiologist.press("a")
    radiologist.say("Lần đăng nhập của bạn đã quá lâu để ký")

    radiologist.press("s")
    radiologist.page.locator("#password").wait_for()
    radiologist.page.unroute_all(behavior="ignoreErrors")
    radiologist.give_password("radiologist", password_of(hospital, "radiologist"))

    radiologist.shown(visit)
    radiologist.page.locator(".signing").wait_for()
    radiologist.press("s")
    hospital.final(visit)


def test_final_is_withdrawn_with_a_reason_and_a_signature(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """Whoever got the final is told that it does not hold; the page says so, too."""
    visit = cases.stat
    hospital.final(visit)
    radiologist.go(f"/case/{_case_id(hospital, visit)}")
    radiologist.shown(visit)

    radiologist.page.get_by_role("button", name="Rút báo cáo chính thức").click()
    radiologist.page.locator("dialog textarea").fill("nhầm bệnh nhân")
    radiologist.page.locator("dialog input[type=checkbox]").check()
    radiologist.page.locator("dialog button[type=submit]").click()

    radiologist.say("Báo cáo chính thức này đã được rút lại")
    corrected = hospital.emr.wait_for(visit.study_instance_uid, "C", seconds=60)
    assert "nhầm bệnh nhân" in corrected.raw.decode("utf-8")


def _card_headings() -> list[str]:
    lines = CARD.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("## ") for line in lines if line.startswith("## ")]


def _is_beside(what: Locator, picture: Locator) -> bool:
    """Tell whether it lies to the right of the picture, its top within the window."""
    own, other = what.bounding_box(), picture.bounding_box()
    assert own is not None
    assert other is not None
    return own["x"] >= other["x"] + other["width"] and 0 <= own["y"] <= other["y"] + other["height"]


def _as_if_found_with_probability(route: Route) -> None:
    """Answer as the server does for a model that says how sure it is."""
    answer = route.fetch()
    told = answer.json()
    for model in told["models"]:
        for finding in model["findings"][:1]:
            finding.update(probability="0.934", abnormal_flag="A")
    route.fulfill(response=answer, body=json.dumps(told))


def _with_other_digest(route: Route) -> None:
    """Send the request as a page would that shows another draft."""
    body = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps({**body, "digest": "0" * 64}))


def _as_if_signed_in_long_ago(route: Route) -> None:
    """Answer as the server does when the sign-in is no longer fresh."""
    answer = route.fetch()
    told = answer.json()
    told["signing"]["is_fresh"] = False
    route.fulfill(response=answer, body=json.dumps(told))


def _state(hospital: Hospital, visit: Visit) -> str:
    report = hospital.user().report(visit)
    return str(report["state"]) if report else ""


def _case_id(hospital: Hospital, visit: Visit) -> str:
    [case] = hospital.user().cases(visit)
    return str(case["case_id"])
