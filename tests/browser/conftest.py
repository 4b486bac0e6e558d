"""A real Chromium. These tests fail, they do not skip, where no browser can be had."""

import json
import re

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from playwright.sync_api import TimeoutError as WaitedTooLong

from tests.real import DESKTOP, chromium


@pytest.fixture(scope="session")
def browser():
    with chromium() as browser:
        yield browser


FOLLOW = "link => document.dispatchEvent(new CustomEvent('lab-go', {detail: link}))"
BEFORE = "() => Object.values(lab.stages).forEach(s => s.left = [s.value.src, s.run])"
# A stage shows what the answer to a link names, if it names any: the stream that it has shown already, or else a new
# one, and of this visit.
FOLLOWED = """%s.includes(s.value.src) && (!s.left || s.value.src === s.left[0] || s.run !== s.left[1])
  && (!("visit" in s.value) || s.value.visit === %s)"""
MOST_LEFT = 2
QUIET = 50  # ms
REST = "() => Object.values(lab.stages).forEach(s => s.clock.pause())"

# What a person would see of a stage that does not do what a test expects.
SEEN = """name => {
  const s = window.lab?.stages[name], header = JSON.stringify(s?.header, (_, v) => v?.length > 9 ? "…" : v);
  return [location.search, s?.element.innerText, header].join("\\n");
}"""


class Lab:
    """One person in front of the page: hands on its controls, eyes on its picture."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.errors: list[str] = []
        # Asked of the browser itself: Playwright's own "request" event leaves out the icon of the page.
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        self.asking: set[str] = set()  # events that the server has not answered
        network.on("Network.requestWillBeSent", self._asked)
        for end in ("Network.loadingFinished", "Network.loadingFailed"):
            network.on(end, lambda event: self.asking.discard(event["requestId"]))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)

    def _asked(self, event: dict) -> None:
        url = event["request"]["url"]
        self.requests.append(url)
        if "/predict" in url:
            self.asking.add(event["requestId"])

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url')}")

    def open(self, query: str, stage: str, ready: str = "s.painted > 0") -> "Lab":
        self.page.goto(f"{self.address}/{query}")
        self.until(stage, ready)
        return self

    def follow(self, query: str, stage: str, ready: str = "s.painted > 0") -> "Lab":
        """As `open`, by a link inside the page: a tenth of the work."""
        self.page.bring_to_front()  # a page that another one covers has a frame a second
        self.page.wait_for_timeout(QUIET)  # a control that was moved while its last answer was on the way asks again
        while self.asking:
            self.page.wait_for_timeout(QUIET)
        self.requests.clear()
        self.errors.clear()
        self.page.evaluate(BEFORE)
        link = query.removeprefix("?") or f"tab={stage}"
        asked = lambda got: "/predict" in got.url and got.request.post_data_json["data"] == [link]  # noqa: E731
        with self.page.expect_response(asked) as answer:
            self.page.evaluate(FOLLOW, link)
        self.page.evaluate("(scrollTo(0, 0), document.activeElement.blur())")
        streams, visits = (re.findall(part, answer.value.text()) for part in (r'lab/[^"\\]+', r'visit\\": \\"(\w+)'))
        followed = FOLLOWED % (json.dumps(streams), json.dumps(visits[0])) if streams else "true"
        self.until(stage, f"({followed}) && ({ready})")
        self.page.evaluate("document.activeElement.blur()")  # an answer may put it back into the control it is about
        return self

    def stage(self, name: str, expression: str):
        """The value of a JavaScript expression of `s`, the stage of that name."""
        return self.page.evaluate(f"name => {{ const s = lab.stages[name]; return {expression}; }}", name)

    def until(self, name: str, condition: str, timeout: float = 60_000) -> None:
        """Wait until a JavaScript condition of `s`, the stage of that name, is true. Of what is not there it is not."""
        script = (
            f"name => {{ try {{ const s = lab.stages[name]; return s && ({condition}); }} catch {{ return false; }} }}"
        )
        try:
            self.page.wait_for_function(script, arg=name, timeout=timeout, polling=50)
        except WaitedTooLong as error:
            seen = self.page.evaluate(SEEN, name)
            raise AssertionError(f"waited in vain for {condition}\n{seen}\n{self.requests[-5:]}") from error

    def finished(self, name: str = "reverse") -> None:
        """The stream has ended and the picture rests."""
        self.until(name, "s.header?.done")
        self.stage(name, "s.clock.pause()")
        self.until(name, "s.idle")

    def positions(self, name: str, t: int | None = None) -> list[float]:
        return self.stage(name, f"Array.from(s.positions({'s.clock.t' if t is None else t}))")

    def pause(self, name: str = "forward") -> None:
        if self.stage(name, "s.clock.playing"):
            self.page.locator(f"#{name}-stage [data-do=toggle]").click()
        self.until(name, "s.idle")

    def changed(self, name: str, act, condition: str = "true", *, done: bool = True) -> None:
        """Do something to the recipe and wait until the stage shows another stream, if `done` all of it."""
        self.page.evaluate("name => { lab.before = lab.stages[name]?.header; }", name)
        act()
        another = "s.header.done" if done else "s.header"
        self.until(name, f"s.header !== lab.before && {another} && ({condition})")

    def number(self, control: str, value) -> None:
        field = self.page.locator(f"#{control} input[type=number]").first
        field.fill(str(value))
        field.press("Enter")
        field.blur()

    def choose(self, control: str, option: str) -> None:
        self.page.locator(f"#{control} input").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def alt(self, chart: str) -> str:
        """What a chart says in words."""
        return self.page.locator(f"#{chart}-chart .lab-hidden").inner_text()

    def drawn(self, chart: str) -> None:
        """Go where a chart is, as what nobody is about to see is not asked for, until it is there."""
        self.page.locator(f"#{chart}-chart").scroll_into_view_if_needed()
        self.page.wait_for_function("chart => lab.charts[chart]?.idle", arg=chart)

    def after(self, chart: str, act) -> tuple[str, str]:
        """What a chart says before and after something was done to it."""
        self.drawn(chart)
        before = self.alt(chart)
        act()
        self.page.locator(f"#{chart}-chart").scroll_into_view_if_needed()
        said = "([chart, before]) => document.querySelector(`#${chart}-chart .lab-hidden`).textContent !== before"
        self.page.wait_for_function(said, arg=[chart, before])
        return before, self.alt(chart)

    def full_screen(self, name: str, part: str) -> None:
        """There and back: the canvas of a stage, or other `part`, grows and has its size again."""
        width = "s.element.querySelector('canvas').offsetWidth"
        before, button = self.stage(name, width), self.page.locator(f"#{name}-{part} [data-do=fullscreen]")
        button.click()
        self.until(name, f"document.fullscreenElement && {width} > {before} && s.idle")
        button.click()
        self.until(name, f"!document.fullscreenElement && {width} === {before} && s.idle")

    def check(self, control: str) -> None:
        self.page.locator(f"#{control} input[type=checkbox]").click()

    def more(self, tab: str) -> None:
        """Unfold the controls that are needed less often."""
        if self.unfold(f"{tab}-more"):
            self.page.locator(f"#{tab}-more input").first.wait_for()
            # What was just mounted takes its value a moment later: a faster hand's is lost.
            self.page.wait_for_timeout(500)

    def unfold(self, fold: str) -> bool:
        """Whether it was folded."""
        button = self.page.locator(f"#{fold} .label-wrap")
        folded = "open" not in (button.get_attribute("class") or "").split()
        if folded:
            button.click()
        return folded


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> dict[str, BrowserContext]:
    """By settings. People share a browser cache, as on a machine in a lecture hall; never a session."""
    return {}


@pytest.fixture(scope="session")
def left() -> list[tuple[str, Lab]]:
    """Pages that somebody has left, for the next person with the same settings; few, as each takes a little time."""
    return []


@pytest.fixture
def visit(request, browser: Browser, contexts: dict[str, BrowserContext], left: list[tuple[str, Lab]], server: str):
    """visit(query) shows a link to a new person; nothing may leave the machine, nothing may fail in the page.

    `fresh` loads the page, as a test needs that is about loading or leaves behind what no link puts right: a zoom, a
    training that goes on. Otherwise a page that somebody has left follows the link: loading is most of a test's time.
    """
    people, failed = [], request.session.testsfailed

    def arrive(
        query: str = "", *, stage: str = "forward", ready: str = "s.painted > 0", fresh: bool = False, **settings
    ) -> Lab:
        key = repr(settings)
        if key not in contexts:
            contexts[key] = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US"} | settings)
            contexts[key].set_default_timeout(60_000)
        at = next((at for at, (settings, _) in enumerate(left) if settings == key and not fresh), None)
        lab = Lab(contexts[key].new_page(), server) if at is None else left.pop(at)[1]
        people.append((lab, key, fresh))
        return lab.open(query, stage, ready) if at is None else lab.follow(query, stage, ready)

    yield arrive
    for lab, key, fresh in people:
        outside = [url for url in lab.requests if not re.match(rf"({re.escape(server)}/|data:|blob:)", url)]
        if fresh or request.session.testsfailed > failed:  # after a failure nobody knows what a page is like
            lab.page.close()
        else:
            lab.page.evaluate(REST)
            left.append((key, lab))
            if len(left) > MOST_LEFT:
                left.pop(0)[1].page.close()
        assert not outside, f"the page asked the outside world for {outside}"
        assert not lab.errors
