"""The reading view: images, findings, decision, signature, by keyboard alone."""

import json

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import Cases
from tests.browser.hands import SHOWN, Hands, password_of
from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

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


def test_windows_and_scrolling_change_the_picture(radiologist: Hands, cases: Cases) -> None:
    """Presets on the keys 1 to 5, images by the arrows; the numbers beside the picture say the same."""
    radiologist.open(cases.normal[0])
    lung = radiologist.image_other_than()

    radiologist.press("2")
    radiologist.page.locator(".bottom-right", has_text="C 40 W 400").wait_for()
    soft_tissue = radiologist.image_other_than(lung)
    radiologist.press("End")
    radiologist.page.locator(".bottom-left", has_text="60 / 60").wait_for()

    last = radiologist.image_other_than(lung, soft_tissue)
    assert len({lung, soft_tissue, last}) == 3


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
    label = form.locator(".missed > select option").nth(1).inner_text()
    form.locator(".missed > select").select_option(index=1)
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
