"""The toy exhibit of tests/ui/toy, as docs/EXTENDING.md tells: all that a folder brings along is there."""

import json
import urllib.request

import pytest
from gradio_client import Client

from ddpm_ui.server.wire import Trajectory
from tests.browser.conftest import Lab
from tests.real import DESKTOP, served


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    with served("-m", "tests.ui.toy", log=tmp_path_factory.mktemp("toy") / "log.txt") as address:
        yield address


def get(address):
    with urllib.request.urlopen(address, timeout=60) as response:
        return response.read()


def test_a_new_exhibit_is_its_folder(toy):
    """Its stream, its figure, its film and its endpoint are there; a bad link of it names the field."""
    walk = Trajectory.decode([get(f"{toy}/lab/toy?speed=2&n=20")])
    assert walk.header["axis"] == {"name": "model_time", "last": 10, "ends": ["left", "right"]}
    assert "alpha" not in walk.header  # it has no schedule
    assert (walk.at(10) - walk.at(0)).mean(0) == pytest.approx([2, 0], abs=0.01)
    assert json.loads(get(f"{toy}/lab/figure/reach?speed=3"))["data"][0]["y"] == [0, 3]
    assert len(json.loads(get(f"{toy}/lab/film/toy?n=5"))["data"]) > 3
    with pytest.raises(urllib.error.HTTPError) as bad:
        get(f"{toy}/lab/toy?speed=9")
    assert "speed must be a number between 0.0 and 4.0" in json.loads(bad.value.read())["error"]
    figure = Client(toy, verbose=False).predict(speed=0.5, n=7, film="0, 10", api_name="/toy")
    assert [len(trace["x"]) for trace in figure["data"]] == [7, 7]


def test_a_new_exhibit_is_on_the_page_and_in_its_link(toy, browser):
    page = browser.new_page(viewport=DESKTOP, locale="en-US")
    lab = Lab(page, toy).open("?tab=toy&speed=2&t=10&n=30", "toy", "s.header?.done && s.painted > 0")
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
