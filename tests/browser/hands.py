"""A reader at the page: what a clinician's eyes and hands do, and what went wrong meanwhile."""

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page

from tests.e2e.hospital import Hospital, Visit, first_password

SHOWN = ".picture[data-shown]:not([data-shown=''])"
PATIENCE = 30_000
MOST_TABS = 60
_GREYS = """() => {
  const canvas = document.querySelector(".picture .pixels canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return new Set(Array.from({ length: data.length / 4 }, (_, pixel) => data[pixel * 4])).size;
}"""

_CUT_OFF = """() => {
  const words = "button, a, h1, h2, h3, p, label, legend, select, summary, dt, dd, th, td, span, strong";
  const isSeen = (element) => element.checkVisibility() && !element.closest(".hidden, .clip, .exam");
  const holder = (element) => {
    let up = element.parentElement;
    while (up && up !== document.body && getComputedStyle(up).overflowX === "visible") up = up.parentElement;
    return (up ?? document.body).getBoundingClientRect();
  };
  const isCut = (element) => {
    const own = element.getBoundingClientRect();
    const around = holder(element);
    if (own.right > around.right + 1 || own.left < around.left - 1) return true;
    return getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
  };
  return [...document.querySelectorAll(words)].filter(isSeen).filter(isCut)
    .map((element) => `${element.tagName} ${element.className}: ${element.textContent.slice(0, 60)}`);
}"""

_WINDOW_IS = """(numbers) =>
  document.querySelector(".bottom-right").innerText.split("\\n")[0].replace(/\\s+/g, " ") === numbers"""

_HAS_MARKS = """() => {
  const canvas = document.querySelector(".picture canvas.above");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 === 3 && value > 0) === EXPECTED;
}"""


@dataclass
class Hands:
    """One signed-in user in a browser window of 1366 × 768; `faults` must stay empty."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def sign_in(self, username: str, password: str) -> None:
        """Sign in by the issuer's page, whichever page asked for it."""
        self.page.locator("main.calm button.primary").click()
        self.give_password(username, password)
        self.page.locator(".who").wait_for()

    def give_password(self, username: str, password: str) -> None:
        """Fill in the issuer's page."""
        self.page.locator("#username").fill(username)
        self.page.locator("#password").fill(password)
        self.page.locator("#sign-in").click()

    def go(self, path: str) -> None:
        """Load a page of Overread anew."""
        self.page.goto(self.url + path)

    def row(self, visit: Visit) -> Locator:
        """Return the visit's row in the worklist."""
        return self.page.locator("tbody tr", has_text=visit.accession_number)

    def open(self, visit: Visit) -> None:
        """Open the visit's case by keyboard, and wait for its images."""
        link = self.row(visit).locator("a.row-link")
        link.focus()
        self.page.keyboard.press("Enter")
        self.shown(visit)

    def shown(self, visit: Visit) -> None:
        """Wait until the visit's images are on screen, under its patient's number."""
        self.page.locator(".case-head", has_text=visit.accession_number).wait_for(timeout=PATIENCE)
        self.page.locator(SHOWN).wait_for(timeout=PATIENCE)

    def press(self, *keys: str) -> None:
        """Press one key after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Type a text where one is."""
        self.page.keyboard.type(text)

    def find(self, visit: Visit) -> None:
        """Open the visit's case out of the list with keys alone: search its number, and two Enters."""
        self.press("/", "Control+a")
        self.type(visit.accession_number)
        self.page.locator("tbody tr").nth(1).wait_for(state="detached", timeout=PATIENCE)
        self.row(visit).wait_for(timeout=PATIENCE)
        self.press("Enter", "Enter")
        self.shown(visit)

    def tab_to(self, wanted: str) -> None:
        """Press Tab until the focus is on what the selector names."""
        for _ in range(MOST_TABS):
            self.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
                return
        raise AssertionError(f"no {wanted} within {MOST_TABS} tabs")

    def say(self, text: str) -> Locator:
        """Wait until the page says `text` somewhere."""
        said = self.page.get_by_text(text, exact=False).first
        said.wait_for(timeout=PATIENCE)
        return said

    def overflow(self) -> tuple[int, int]:
        """Return how far the page reaches beyond the window, to the right and below."""
        told: list[int] = self.page.evaluate(
            "() => { const page = document.documentElement;"
            " return [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight]; }"
        )
        return max(0, told[0]), max(0, told[1])

    def cut_off(self) -> list[str]:
        """Return the words that reach beyond what holds them: beyond the window, a panel, a dialog, or their own box."""
        return [str(found) for found in self.page.evaluate(_CUT_OFF)]

    def greys(self) -> int:
        """Return how many different values the image's pixels have: 1 when nothing is drawn."""
        return int(self.page.evaluate(_GREYS))

    def image_other_than(self, *seen: str) -> str:
        """Wait until the image is drawn otherwise than it was seen before, and return it."""
        while (drawn := self._image()) in seen:
            self.page.wait_for_timeout(100)
        return drawn

    def wait_for_marks(self, *, are_there: bool) -> None:
        """Wait until something, or nothing, is drawn above the image."""
        self.page.wait_for_function(_HAS_MARKS.replace("EXPECTED", "true" if are_there else "false"))

    def wait_for_window(self, numbers: str) -> None:
        """Wait until the numbers beside the image are those."""
        self.page.wait_for_function(_WINDOW_IS, arg=numbers)

    def _image(self) -> str:
        return str(self.page.locator(".picture .pixels canvas").evaluate("(canvas) => canvas.toDataURL()"))


def at(context: BrowserContext, hospital: Hospital) -> Hands:
    """Return hands at a new window, which notes every error that the page makes."""
    page = context.new_page()
    hands = Hands(page, hospital.user().url)
    page.on("pageerror", lambda error: hands.faults.append(str(error)))
    page.on("console", lambda message: _note(hands, message))
    return hands


def password_of(hospital: Hospital, username: str) -> str:
    """Return the password made at first start."""
    return first_password(Path(hospital.endpoints.data.root), username)


def _note(hands: Hands, message: ConsoleMessage) -> None:
    """Keep what the browser complains of; a refusal's status (401, 409) is part of the story."""
    if message.type in {"error", "warning"} and "the server responded with a status of" not in message.text:
        hands.faults.append(message.text)
