"""The toy exhibit of tests/ui/toy in a real browser: what a folder brings along is on the page and in its link."""

import pytest

from tests.browser.conftest import Lab
from tests.real import DESKTOP, served


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served("-m", "tests.ui.toy", log=tmp_path_factory.mktemp("toy") / "log.txt") as address:
        yield address


def test_a_new_exhibit_is_on_the_page_and_in_its_link(address, browser):
    page = browser.new_page(viewport=DESKTOP, locale="en-US")
    lab = Lab(page, address).open("?tab=toy&speed=2&t=10&n=30", "toy", "s.header?.done && s.painted > 0")
    lab.until("toy", "s.idle")
    assert page.get_by_role("tab", name="Toy", exact=True).get_attribute("aria-selected") == "true"
    end = lab.positions("toy")
    page.keyboard.press("Home")
    lab.until("toy", "s.clock.t === 0 && s.idle")
    drift = [a - b for a, b in zip(end, lab.positions("toy"), strict=True)]
    assert drift[::2] == pytest.approx([2] * 30, abs=0.01) and drift[1::2] == pytest.approx([0] * 30, abs=1e-6)
    assert page.locator("#toy-stage .lab-now").inner_text().startswith("model time")
    assert page.locator("#toy-stage [data-number=snr]").is_hidden()  # it has no schedule
    lab.drawn("toy-reach")
    lab.changed("toy", lambda: lab.number("toy-speed", 1))
    assert "speed=1" not in page.url  # which is the default
    assert not lab.errors
    page.close()
