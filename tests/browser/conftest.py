"""One hospital for all of the page's stories, and a real Chromium in which they happen."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypedDict

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, StorageState, ViewportSize, sync_playwright
from pydicom.uid import UID

from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from tests.browser.chromium import ARGUMENTS, chromium
from tests.browser.hands import Hands, at, password_of
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital, Visit, free_offset
from tests.fakes.peers import Emr

FIRST_OFFSET = 9_100
FAST = {"OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": "1", "OVERREAD_REPORT_APPLICATIONS": '["RIS"]'}
DRAFT_SECONDS = 90.0
SHARP_KERNEL = "B70f"
MR_IMAGE_STORAGE = UID("1.2.840.10008.5.1.4.1.1.4")
MR_WINDOW = (300, 1000)


class Window(TypedDict):
    """What every window is like."""

    viewport: ViewportSize
    locale: str
    timezone_id: str


WINDOW: Window = {
    "viewport": ViewportSize(width=1366, height=768),
    "locale": "vi-VN",
    "timezone_id": "Asia/Ho_Chi_Minh",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a word, where there is no browser."""
    wanted = [item for item in items if item.get_closest_marker("browser")]
    if wanted and chromium() is None:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason="needs Chromium: apt-get install chromium"))


@dataclass(frozen=True)
class Cases:
    """Who waits at the hospital when the stories begin."""

    stat: Visit
    normal: tuple[Visit, ...]
    typed: tuple[Visit, ...]
    sharp: Visit
    child: Visit
    brain: Visit


@pytest.fixture(scope="session")
def emr() -> Iterator[Emr]:
    """Yield the EMR of the session."""
    with Emr() as listening:
        yield listening


@pytest.fixture(scope="session")
def servers(emr: Emr, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackThread]:
    """Yield the whole stack (mark its users `stack` and `browser`)."""
    profile = Profile(
        data_dir=tmp_path_factory.mktemp("page"),
        port_offset=free_offset(FIRST_OFFSET + os.getpid() % 50 * 20),
        emr=emr.url,
        settings=FAST,
    )
    with StackThread(profile.stack()) as running:
        yield running


@pytest.fixture(scope="session")
def hospital(servers: StackThread, emr: Emr) -> Iterator[Hospital]:
    """Yield the hospital of all stories."""
    with closing(Hospital(servers.endpoints, emr)) as running:
        yield running


@pytest.fixture(scope="session")
def cases(hospital: Hospital) -> Cases:
    """Return the cases, each drafted: the urgent one came last."""
    normal, typed = (tuple(hospital.admit() for _ in range(number)) for number in (6, 3))
    waiting = Cases(
        stat=hospital.admit(),
        normal=normal,
        typed=typed,
        sharp=hospital.admit(SHARP_KERNEL),
        child=_a_child(hospital),
        brain=_a_brain(hospital),
    )
    for visit in (*normal, *typed, waiting.sharp, waiting.child, waiting.brain):
        hospital.order(visit, an_omi(**visit.known, priority="R"))
        hospital.scan(visit)
    hospital.order(waiting.stat)
    hospital.scan(waiting.stat)
    for visit in hospital.visits:
        hospital.user().draft(visit, seconds=DRAFT_SECONDS)
    return waiting


def _a_child(hospital: Hospital) -> Visit:
    """Return a visit of somebody for whom the model is not meant: the images say eleven years."""
    visit = hospital.admit()
    for dataset in visit.datasets:
        dataset.PatientAge = "011Y"
        dataset.PatientBirthDate = ""
    return visit


def _a_brain(hospital: Hospital) -> Visit:
    """Return a visit whose images come from an MR scanner, and from no series that a model is meant for."""
    visit = hospital.admit()
    for dataset in visit.datasets:
        dataset.Modality = "MR"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
        dataset.WindowCenter, dataset.WindowWidth = MR_WINDOW
    return visit


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Yield the driver; for one module at a time, since its loop would be in the way of tests that bring their own."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Yield Chromium."""
    launched = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS])
    with closing(launched):
        yield launched


@pytest.fixture(scope="session")
def sessions() -> dict[str, StorageState]:
    """Return what a window keeps of each user's sign-in, once there was one: signing in is a story of its own."""
    return {}


@pytest.fixture
def visitor(browser: Browser, hospital: Hospital) -> Iterator[Hands]:
    """Yield somebody in a window that nobody has used, not signed in; whose page must make no error."""
    with closing(browser.new_context(**WINDOW)) as fresh:
        hands = at(fresh, hospital)
        hands.go("/")
        yield hands
        assert hands.faults == []


@pytest.fixture(scope="module")
def reading_room(browser: Browser, hospital: Hospital, sessions: dict[str, StorageState]) -> Iterator[BrowserContext]:
    """Yield the radiologist's window, which keeps what it loaded."""
    with closing(_window_of("radiologist", browser, hospital, sessions)) as window:
        yield window
        sessions["radiologist"] = window.storage_state()  # a story may have signed in anew


@pytest.fixture
def radiologist(reading_room: BrowserContext, hospital: Hospital, cases: Cases) -> Iterator[Hands]:
    """Yield a radiologist before the worklist; whose page must make no error."""
    hands = at(reading_room, hospital)
    hands.go("/")
    hands.row(cases.child).wait_for()
    yield hands
    hands.page.evaluate("localStorage.clear()")
    hands.page.close()
    assert hands.faults == []


@pytest.fixture
def operator(browser: Browser, hospital: Hospital, sessions: dict[str, StorageState]) -> Iterator[Hands]:
    """Yield an operator before the page of operations; whose page must make no error."""
    with closing(_window_of("ops", browser, hospital, sessions)) as window:
        hands = at(window, hospital)
        hands.go("/")
        hands.page.locator(".way").wait_for()
        yield hands
        assert hands.faults == []


def _window_of(
    username: str, browser: Browser, hospital: Hospital, sessions: dict[str, StorageState]
) -> BrowserContext:
    if username not in sessions:
        with closing(browser.new_context(**WINDOW)) as fresh:
            hands = at(fresh, hospital)
            hands.go("/")
            hands.sign_in(username, password_of(hospital, username))
            sessions[username] = fresh.storage_state()
    return browser.new_context(**WINDOW, storage_state=sessions[username])
