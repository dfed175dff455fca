"""What other systems say, on the page: values beside the order, and a case that was read elsewhere."""

import pytest

from tests.browser.hands import Hands
from tests.e2e.hospital import Hospital
from tests.e2e.others import a_creatinine, a_report
from tests.fakes.peers import send_hl7

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]


def test_values_stand_beside_the_order_and_a_case_read_elsewhere_says_so(
    radiologist: Hands, hospital: Hospital
) -> None:
    """REQ-LAB-01, REQ-ELS-01: value, unit, flag and range on the reading view; then nothing is left to read."""
    visit = hospital.admit()
    hospital.order(visit)
    send_hl7(hospital.mllp_port, a_creatinine(visit))
    hospital.scan(visit)
    hospital.user().draft(visit)
    radiologist.find(visit)

    accept = radiologist.page.get_by_role("button", name="Chấp nhận")
    accept.wait_for()
    value = radiologist.page.locator("[data-concept=creatinine]").inner_text()
    send_hl7(hospital.mllp_port, a_report(visit, "F", 30))
    radiologist.say("Đã được đọc ở hệ thống khác: MẪU MINH CHÂU")

    assert [words for words in ("Creatinin", "126 umol/L", "cao", "tham chiếu 49-92") if words not in value] == []
    assert radiologist.overflow() == (0, 0)
    assert accept.count() == 0
