"""What holds for the whole page: links, bad links, other people, looks, languages, phones."""

import re

import pytest

from ddpm_core import __version__
from ddpm_ui.words import STRINGS
from tests.real import PHONE, SETTLED

LINKS = {
    "forward": "?tab=forward&data=checkerboard&schedule=cosine&T=120&seed=3&n=700&t=40",
    "reverse": "?tab=reverse&data=two_moons&sampler=ddim&steps=25&n=700&eta=0.5&t=10",
}


@pytest.mark.parametrize("tab", LINKS)
def test_a_link_reopens_the_same_picture_bit_for_bit(visit, tab):
    first = visit(LINKS[tab], stage=tab, fresh=True)
    first.until(tab, "s.header.done && s.idle")
    second = visit(first.page.url.removeprefix(first.address + "/"), stage=tab, fresh=True)
    second.until(tab, "s.header.done && s.idle")
    assert second.stage(tab, "s.clock.t") == first.stage(tab, "s.clock.t") == int(re.search(r"&t=(\d+)", LINKS[tab])[1])
    assert second.positions(tab) == first.positions(tab)
    pixels = "s.element.querySelector('canvas').toDataURL()"
    assert second.stage(tab, pixels) == first.stage(tab, pixels)
    assert second.page.url == first.page.url


def test_controls_show_what_a_link_says(visit):
    lab = visit(LINKS["reverse"], stage="reverse", fresh=True)
    assert lab.page.locator("#reverse-data input").input_value() == "Two moons"
    assert lab.page.locator("#reverse-steps input[type=number]").input_value() == "25"
    assert lab.page.locator("#reverse-eta input[type=number]").input_value() == "0.5"


def test_nothing_invisible_takes_room(visit):
    """The page ends where what one sees in it ends: with the version."""
    lab = visit("?tab=reverse", stage="reverse")
    lab.until("reverse", "s.header.done && s.idle")
    ends = "element => element.getBoundingClientRect().bottom"
    row = max(rows.evaluate(ends) for rows in lab.page.locator(".lab-row:visible").all())
    footer = lab.page.locator("footer")
    assert footer.evaluate(ends) - row < 80
    said = footer.evaluate("element => getComputedStyle(element, '::after').content")
    assert said == f'"Diffusion lab {__version__}"'


BAD = {  # every field has its bad values in tests/ui/test_recipe.py
    "beta_min=0.05&beta_max=0.01": "beta_min must not exceed beta_max",
    "data=%3Cimg+src=x+onerror=alert(1)%3E": "data must be one of swiss_roll",
    "tab=reverse&sampler=magic": "sampler must be one of ddpm, ddim, euler",
    "tab=nowhere&t=99999999999999&layers=a,b": None,
}


@pytest.mark.parametrize("query", BAD)
def test_a_bad_link_is_answered_by_a_sentence_and_a_picture(visit, query):
    tab = "reverse" if "tab=reverse" in query else "forward"
    lab = visit(f"?{query}", stage=tab, fresh="nowhere" in query)  # which no link inside the page can name
    if BAD[query]:
        assert BAD[query] in lab.page.locator(f"#{tab}-note").inner_text()
    else:
        assert lab.page.locator(f"#{tab}-note").count() == 0 or lab.page.locator(f"#{tab}-note").is_hidden()


def test_a_bad_number_in_a_control_is_named_and_the_old_picture_stays(visit):
    lab = visit("?t=100&n=200")
    lab.until("forward", "s.idle")
    before = lab.positions("forward")
    lab.more("forward")
    lab.number("forward-n", 10**9)
    note = lab.page.locator("#forward-note")
    note.wait_for(state="visible")
    assert "n must be a whole number between 1 and 10000" in note.inner_text()
    assert lab.positions("forward") == before
    lab.changed("forward", lambda: lab.number("forward-n", 100), "s.header.n === 100")
    note.wait_for(state="hidden")


def test_a_slider_can_be_reset(visit):
    lab = visit("?t=100&n=200")
    lab.changed("forward", lambda: lab.number("forward-T", 500), "s.header.axis.last === 500")
    reset = lab.page.locator("#forward-T").get_by_role("button")
    lab.changed("forward", reset.click, "s.header.axis.last === 1000")
    lab.page.wait_for_function("!location.search.includes('T=500')")


def test_two_people_do_not_disturb_each_other(visit):
    one, two = visit("?t=100&n=300"), visit("?t=100&n=300")
    for lab in (one, two):
        lab.until("forward", "s.idle")
    before = two.positions("forward")
    one.changed("forward", lambda: one.number("forward-beta_max", 0.3))
    two.page.locator("#forward-schedule").wait_for()
    assert two.positions("forward") == before
    assert two.page.locator("#forward-beta_max input[type=number]").input_value() == "0.02"
    assert one.positions("forward") != before


def test_tabs_keep_their_own_state_and_address(visit):
    lab = visit("?t=100&T=300&n=200")
    lab.until("forward", "s.idle")
    lab.page.get_by_role("tab", name="Reverse").click()
    lab.until("reverse", "s.painted > 0")
    lab.finished()
    lab.page.wait_for_function("location.search.includes('tab=reverse')")
    lab.page.get_by_role("tab", name="Forward").click()
    lab.page.wait_for_function("location.search.includes('tab=forward')")
    assert lab.stage("forward", "s.header.axis.last") == 300


def test_full_screen_and_back(visit):
    lab = visit("?t=100&n=200")
    lab.until("forward", "s.idle")
    lab.full_screen("forward", "stage")


def test_the_link_can_be_copied(visit):
    lab = visit("?t=100&n=300")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.until("forward", "s.idle")
    lab.page.locator("[data-copy]").click()
    lab.page.get_by_text("Copied").wait_for()
    assert lab.page.evaluate("navigator.clipboard.readText()") == lab.page.url


def test_the_link_is_shown_where_there_is_no_clipboard(visit):
    """Browsers have one on localhost and over HTTPS only, not at the address of a laptop in a lecture hall."""
    lab, shown = visit("?t=100&n=300"), []
    lab.until("forward", "s.idle")
    lab.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    lab.page.once("dialog", lambda dialog: (shown.append(dialog.default_value), dialog.dismiss()))
    lab.page.locator("[data-copy]").click()
    lab.page.evaluate("delete navigator.clipboard")
    assert shown == [lab.page.url]


def test_the_api_has_its_page(visit):
    lab = visit(fresh=True)
    lab.page.get_by_role("button", name="API").click()
    for endpoint in ("/forward", "/reverse"):
        lab.page.get_by_text(endpoint, exact=True).first.wait_for()
    lab.page.wait_for_timeout(1000)  # the stage goes on writing its address
    assert "view=api" in lab.page.url
    lab.errors = [e for e in lab.errors if "/mcp/schema" not in e]  # Gradio asks whether there is an MCP server


def test_a_link_that_is_followed_once_more_leads_to_its_t_again(visit):
    """A lecturer comes back to a place by the same link, though in between nothing but t has changed."""
    lab = visit("?t=400&n=200")
    lab.page.keyboard.press("End")
    lab.until("forward", "s.idle && s.clock.t === 1000")
    lab.follow("?t=400&n=200", "forward", "s.clock.t === 400")


@pytest.mark.parametrize("recipe", ["T=1", "T=2000&steps=2000&n=100"])
@pytest.mark.parametrize("tab", ["forward", "reverse"])
def test_the_shortest_and_the_longest_recipe(visit, tab, recipe):
    lab = visit(f"?tab={tab}&{recipe}&beside=chain", stage=tab)
    lab.finished(tab)
    T = 1 if recipe == "T=1" else 2000
    for key, t in (("End", T), ("Home", 0)):
        lab.page.keyboard.press(key)
        lab.until(tab, f"s.clock.t === {t} && s.idle")
    if tab == "reverse":
        assert lab.stage(tab, "s.header.metrics.length") == 3


def test_looks_change_the_page_and_the_link(visit):
    lab = visit("?t=100&n=200", fresh=True)
    lab.until("forward", "s.idle")
    style = "() => ['ink', 'size'].map(key => getComputedStyle(document.body).getPropertyValue(`--lab-${key}`))"
    seen = [lab.page.evaluate(style)]
    for look in ("dark", "projector"):
        lab.page.locator(f"[data-look={look}]").click()
        seen.append(lab.page.evaluate(style))
        assert seen[-1] != seen[-2]
    again = visit(lab.page.url.removeprefix(lab.address + "/"), fresh=True)
    assert again.page.evaluate(style) == seen[-1]


COLOURS = """chart => {
  const {gd, figure} = lab.charts[chart], colours = traces => traces.map(({line}) => line.color.toLowerCase());
  return [colours(JSON.parse(figure).layout.template.data.scatter), colours(gd._fullData)];
}"""


def test_a_chart_shows_the_colours_that_python_means(visit):
    """On a white page those of the figure itself, as in a notebook; in the dark those that mean the same there."""
    lab = visit("?t=100&__theme=light&n=200", fresh=True)
    lab.drawn("forward-curves")
    light, shown = lab.page.evaluate(COLOURS, "forward-curves")
    assert shown == light
    lab.page.locator("[data-look=dark]").click()
    changed = f"before => ({COLOURS})('forward-curves')[1].every((colour, k) => colour !== before[k])"
    lab.page.wait_for_function(changed, arg=light)
    means = "name => getComputedStyle(document.body).getPropertyValue(`--lab-${name}`).trim()"
    dark = [lab.page.evaluate(means, meaning) for meaning in ("data", "noise", "noise", "data", "exact")]
    assert lab.page.evaluate(COLOURS, "forward-curves")[1] == dark


def test_chinese(visit):
    lab = visit("?t=100&n=200", locale="zh-CN")
    lab.page.get_by_role("tab", name="反向").wait_for()
    assert lab.page.locator("#forward-stage .lab-end").all_text_contents() == ["数据", "噪声"]
    words = lab.page.locator("body").inner_text()
    assert not re.search(r"\b(layer|field|choice|tab)_\w+", words)
    lab.number("forward-T", 0)  # what the server has to say, too
    lab.page.get_by_text("T 必须是 1 到 2000 之间的整数").wait_for()


@pytest.mark.parametrize("tab", ["forward", "reverse"])
def test_phone(visit, tab):
    """Nothing sticks out sideways, and targets are large enough for a thumb."""
    lab = visit(f"?tab={tab}&steps=20&n=500&beside=chain", stage=tab, **PHONE)
    lab.page.wait_for_load_state("networkidle")
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 390
    size = lab.page.locator(f"#{tab}-stage [data-do=toggle]").bounding_box()
    assert min(size["width"], size["height"]) >= 40


@pytest.mark.parametrize("tab", ["forward", "reverse"])
def test_picture_time_bar_and_controls_fit_a_small_laptop(visit, tab):
    lab = visit(f"?tab={tab}&steps=20", stage=tab)
    for part in (
        f"#{tab}-stage .lab-picture-area",
        f"#{tab}-stage .lab-range",
        f"#{tab}-stage .lab-readout",
        f"#{tab}-T, #{tab}-steps",
    ):
        box = lab.page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 768


def test_every_picture_has_a_text_alternative(visit):
    lab = visit("?t=100&n=200")
    lab.until("forward", "s.idle")
    lab.page.wait_for_function(SETTLED)
    for chart in ("why", "forgetting"):
        lab.drawn(f"forward-{chart}")
    lab.page.locator("#drifts-fields").scroll_into_view_if_needed()
    lab.page.locator("#drifts-fields canvas[aria-label]").nth(3).wait_for()
    said = (
        "[...document.querySelectorAll('[role=img]')].filter(lab.visible).map(node => node.getAttribute('aria-label'))"
    )
    labels = lab.page.evaluate(said)
    assert len(labels) >= 3
    assert all(label and re.search(r"\d", label) for label in labels)


def test_words_exist_in_both_languages():
    assert STRINGS["en"].keys() == STRINGS["zh-CN"].keys()


NO_MORE_WAITING = """() => {
  const {setTimeout} = window;
  window.setTimeout = (act, delay, ...more) => delay >= 2000 ? 0 : setTimeout(act, delay, ...more);
}"""


def test_where_nothing_moves_plotly_is_waited_for_once(visit):
    """Not once for each tab that is opened after it is there."""
    lab = visit("?tab=train", stage="train", ready="true", fresh=True)
    lab.page.wait_for_function("window.Plotly")
    lab.page.evaluate(NO_MORE_WAITING)
    lab.page.get_by_role("tab", name="Three views").click()
    lab.drawn("views-errors")
