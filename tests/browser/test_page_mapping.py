"""The mapping's page: an integrator fills in what nobody has named yet, and takes a file after reading its difference."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, StorageState

from tests.browser.conftest import _window_of
from tests.browser.hands import Hands, at
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital, a_visit
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(300)]

WRONG = "kind;code;vi;modality\nservice;CTBUNG;CT bụng;ct\n"
RIGHT = "kind;code;vi;modality;models\nservice;CTBUNG;CT bụng;CT;\nservice;MRNAO;CHT sọ não;MR;mr-brain-volume\n"


@pytest.fixture
def integrator(browser: Browser, hospital: Hospital, sessions: dict[str, StorageState]) -> Iterator[Hands]:
    """Yield an integrator before the mapping's page, whose page must make no error; an order has come before."""
    visit = a_visit()
    known = visit.known | {"service": "XQNGUC^X-quang ngực thẳng^99HIS", "priority": "R"}
    hospital.order(visit, an_omi(**known))
    with closing(_window_of("integrator", browser, hospital, sessions)) as window:
        hands = at(window, hospital)
        wait_until(lambda: _shows(hands, "XQNGUC"), "the code that nobody has named", 60)
        yield hands
        assert hands.faults == []


def _shows(hands: Hands, code: str) -> bool:
    hands.go("/mapping")
    hands.page.locator("main.mapping").wait_for()
    return hands.page.locator(f"table.unmapped tr[data-code={code}]").count() == 1


def test_codes_are_filled_in_and_files_are_taken(integrator: Hands, tmp_path: Path) -> None:
    """REQ-MAP-08: at its place, and by a file whose faults, then whose difference, are read first; then back again."""
    page = integrator.page
    unmapped = page.locator("table.unmapped tr[data-code=XQNGUC]")
    assert "X-quang ngực thẳng" in unmapped.inner_text()
    assert Axe().run(page).response["violations"] == []

    unmapped.get_by_role("button").click()
    page.get_by_label("Tên tiếng Việt").fill("X-quang ngực")
    page.get_by_label("Mã tại đây", exact=True).fill("RPID2503")
    assert Axe().run(page).response["violations"] == []
    assert integrator.cut_off() == []
    page.get_by_role("button", name="Lưu").click()
    integrator.say("Đã lưu ánh xạ của mã XQNGUC.")
    unmapped.wait_for(state="detached")
    row = page.locator("table.mapped tr[data-code=XQNGUC]")
    assert "X-quang ngực · RPID2503" in row.inner_text()

    page.get_by_role("button", name="Nhập tệp").click()
    file = page.get_by_label("Tệp ánh xạ")
    file.set_input_files(_a_file(tmp_path / "codes.csv", WRONG))
    integrator.say("Tệp có 1 lỗi, chưa nhận dòng nào.")
    integrator.say("dòng 2, modality: “ct” không phải loại máy; viết hoa như CT, MR, DX")
    assert page.get_by_role("button", name="Nhận tệp này").is_disabled()
    file.set_input_files(_a_file(tmp_path / "mended.csv", RIGHT))
    integrator.say("Thêm 2, sửa 0, bỏ 0, giữ nguyên 1.")
    assert Axe().run(page).response["violations"] == []
    assert integrator.cut_off() == []
    page.get_by_role("button", name="Nhận tệp này").click()
    page.locator("table.mapped tr[data-code=MRNAO]").wait_for()

    page.locator("table.versions tr[data-version='1']").get_by_role("button").click()
    integrator.say("Thêm 0, sửa 0, bỏ 2, giữ nguyên 1.")
    page.get_by_role("button", name="Quay lại", exact=True).last.click()
    page.locator("table.mapped tr[data-code=MRNAO]").wait_for(state="detached")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Xuất CSV").click()
    assert "X-quang ngực" in Path(downloaded.value.path()).read_text(encoding="utf-8-sig")
    assert Axe().run(page).response["violations"] == []
    assert integrator.overflow() == (0, 0)


def _a_file(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file
