"""The Forward tab, pressed and looked at in a real browser."""

import math

import pytest

from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.recipes import BETA_RANGE
from tests.real import PHONE, SETTLED


def test_it_opens_already_moving(visit):
    lab = visit(fresh=True)
    first = lab.stage("forward", "s.clock.t")
    lab.until("forward", f"s.clock.playing && Math.abs(s.clock.t - {first}) > 5")


def test_scrubbing_and_playing_ask_the_server_nothing(visit):
    lab = visit("?t=500&n=200")
    lab.until("forward", "s.idle")
    lab.page.wait_for_function(SETTLED)
    asked, painted = len(lab.requests), lab.stage("forward", "s.painted")
    slider = lab.page.locator("#forward-stage .lab-range")
    box = slider.bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lab.page.mouse.down()
    for share in (0.1, 0.3, 0.9, 0.6):
        lab.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=5)
    lab.page.mouse.up()
    assert abs(lab.stage("forward", "s.clock.t") - 600) < 30
    lab.page.locator("#forward-stage [data-do=toggle]").click()
    lab.until("forward", f"s.painted > {painted + 30}")
    lab.pause()
    clips = lab.page.eval_on_selector_all("[clip-path]", "parts => parts.map(part => part.getAttribute('clip-path'))")
    assert clips and all(clip.startswith("url(#") for clip in clips)  # an address in them is outdated with the next t
    assert lab.requests[asked:] == []


def test_nothing_runs_when_nothing_moves(visit):
    lab = visit("?t=100&n=200")
    lab.page.wait_for_function(SETTLED)
    lab.until("forward", "s.idle")
    painted = lab.stage("forward", "s.painted")
    lab.page.wait_for_timeout(1500)  # several times as long as a picture that rests waits
    assert lab.stage("forward", "s.painted") == painted and lab.stage("forward", "s.idle")


def test_data_is_left_and_noise_is_right(visit):
    """At the left end the cloud is the data; at the right end its covariance is the identity, its colours are mixed."""
    lab = visit("?t=0")
    ends = lab.page.locator("#forward-stage .lab-end").all_text_contents()
    assert ends == ["data", "noise"]
    clean, noise = lab.positions("forward", 0), lab.positions("forward", 1000)
    radius = [math.hypot(*clean[i : i + 2]) for i in range(0, len(clean), 2)]
    assert min(radius) > 0.3  # the roll has a hole in the middle, noise has not
    assert min(math.hypot(*noise[i : i + 2]) for i in range(0, len(noise), 2)) < 0.1


def test_keyboard(visit):
    lab = visit("?t=500&n=200")
    lab.until("forward", "s.idle")
    press = lab.page.keyboard.press
    for key, t in [("ArrowRight", 501), ("Shift+ArrowLeft", 491), ("Home", 0), ("End", 1000)]:
        press(key)
        lab.until("forward", f"s.clock.t === {t}")
    press("Space")
    lab.until("forward", "s.clock.playing")
    press("Space")
    lab.until("forward", "!s.clock.playing")


CONTROLS = {
    "T": (lambda lab: lab.number("forward-T", 60), "s.header.axis.last === 60"),
    "data": (lambda lab: lab.choose("forward-data", "Two moons"), "s.header.title[0] === 'choice_two_moons'"),
    "beta_min": (lambda lab: lab.number("forward-beta_min", 0.01), "Math.abs(s.header.sigma[1] - .1) < 1e-6"),
    "beta_max": (lambda lab: lab.number("forward-beta_max", 0.04), "s.header.alpha[60] < .6"),
    "rescale": (lambda lab: lab.check("forward-rescale"), "Math.abs(s.header.sigma[1] - Math.sqrt(1 / 6)) < 1e-6"),
    "schedule": (lambda lab: lab.choose("forward-schedule", "Cosine"), "s.header.alpha[60] < .001"),
    "n": (lambda lab: (lab.more("forward"), lab.number("forward-n", 77)), "s.header.n === 77"),
    "seed": (lambda lab: lab.number("forward-seed", 5), "true"),
}


def test_every_control_changes_what_it_says(visit):
    """One after another: the stream says the new value, the picture is another one, and so is the link."""
    lab = visit("?t=30&T=100&n=200")
    for control, (act, condition) in CONTROLS.items():
        before, link = lab.positions("forward"), lab.page.url
        lab.changed("forward", lambda act=act: act(lab), condition)
        lab.page.wait_for_function("link => location.href !== link", arg=link)
        assert lab.positions("forward") != before, control
    lab.until("forward", "s.idle")
    expected = "data=two_moons&schedule=cosine&T=60&beta_min=0.01&beta_max=0.04&rescale=1&n=77&seed=5"
    assert expected in lab.page.url


def test_more_particles_leave_the_others_alone(visit):
    lab = visit("?t=300&n=500")
    before = lab.positions("forward")
    lab.more("forward")
    lab.changed("forward", lambda: lab.number("forward-n", 900), "s.header.n === 900")
    assert lab.positions("forward")[: len(before)] == before


def test_controls_that_say_nothing_hide_and_keep_what_they_said(visit):
    lab = visit("?schedule=cosine&beta_max=0.05&n=200")
    beta = [lab.page.locator(f"#forward-{name}") for name in BETA_RANGE]
    for control in beta:
        control.wait_for(state="hidden")
    lab.changed("forward", lambda: lab.choose("forward-schedule", "Linear (DDPM)"))
    for control in beta:
        control.wait_for()
    assert lab.page.locator("#forward-beta_max input[type=number]").input_value() == "0.05"
    expected = Forward(beta_max=0.05).full_schedule.alpha[500].item()
    assert lab.stage("forward", "s.header.alpha[500]") == pytest.approx(expected, rel=1e-4)
    lab.changed("forward", lambda: lab.choose("forward-schedule", "Sigmoid"))
    for control in beta:
        control.wait_for(state="hidden")


def test_x_T_that_is_not_noise_is_said_and_mended_by_one_click(visit):
    lab = visit("?t=50&T=50&n=200")
    note = lab.page.locator("#forward-note")
    assert "alpha_bar_T = 0.603" in note.inner_text()
    assert "terminal SNR = 1.52" in note.inner_text()
    lab.changed("forward", lambda: lab.page.locator("#forward-fix").click(), "s.header.alpha[50] < .05")
    assert lab.page.locator("#forward-rescale input").is_checked()
    note.wait_for(state="hidden")
    lab.page.locator("#forward-fix").wait_for(state="hidden")


def test_readouts_follow_t(visit):
    """x_t = a x_0 + b eps is printed with the numbers of this t; alpha_bar_T and the terminal SNR stand beside it."""
    lab = visit("?t=0&n=200")
    lab.until("forward", "s.idle")
    lab.page.keyboard.press("End")
    lab.until("forward", "s.idle && s.clock.t === 1000")
    alpha, sigma = lab.stage("forward", "[s.header.alpha[1000], s.header.sigma[1000]]")
    formula = lab.page.locator("#forward-stage .lab-formula b").all_inner_texts()
    assert [float(x) for x in formula] == [round(alpha, 3), round(sigma, 3)]
    read = lambda key: lab.page.locator(f"#forward-stage [data-number={key}]").inner_text()  # noqa: E731
    assert float(read("alpha_bar").replace("−", "-")) == pytest.approx(alpha**2, rel=0.05)
    assert read("alpha_bar") == read("alpha_bar_T")
    assert float(read("snr_T").replace("−", "-")) == pytest.approx((alpha / sigma) ** 2, rel=0.05)


def test_chain_beside_closed_form(visit):
    """Two stages, one time, and a number in standard errors that says that they agree."""
    lab = visit("?t=200&T=400&n=200")
    lab.choose("forward-beside", "Step-by-step chain")
    lab.until("chain", "s.header?.done && s.painted > 0")
    lab.until("chain", "s.idle")
    assert lab.stage("chain", "s.clock") == lab.stage("forward", "s.clock")
    chain, jump = lab.positions("chain", 400), lab.positions("forward", 400)
    assert chain != jump  # other noise
    assert lab.positions("chain", 0) == pytest.approx(lab.positions("forward", 0), abs=1e-3)  # same data
    deviation = lab.page.locator("#chain-stage [data-number=series]")
    values = set()
    for key, t in [("Home", 0), ("End", 400)]:
        lab.page.keyboard.press(key)
        lab.until("chain", f"s.clock.t === {t} && s.idle")
        values.add(float(deviation.inner_text()))
    assert 0.0 in values
    assert 0 < max(values) < 5


def test_without_the_shrinking_the_cloud_runs_away(visit):
    lab = visit("?T=400&rescale=1&t=400&n=300")
    reach = {}
    for option in ("Same β in every step", "Without √(1−β)"):
        lab.choose("forward-beside", option)
        lab.until(
            "chain",
            "s.header?.done && s.header.title.includes('choice_" + ("unshrunk" if "√" in option else "constant") + "')",
        )
        lab.until("chain", "s.idle")
        reach[option] = max(map(abs, lab.positions("chain")))
        shown = float(lab.page.locator("#chain-stage [data-number=series]").inner_text())
        assert (shown > 5) == ("√" in option)
    first, second = reach.values()
    assert second > 1.5 * first


def test_no_formula_of_the_ink_is_cut_off_on_a_phone(visit):
    lab = visit("?data=ink_drop&T=100&rescale=1&t=10&n=200", **PHONE)
    lab.page.locator("#drifts-fields").scroll_into_view_if_needed()
    lab.until("drifts", "s.ready && s.shown >= 0")
    cut = "parts => parts.map(part => part.scrollWidth > part.clientWidth)"
    assert lab.page.eval_on_selector_all("#drifts-fields figcaption", cut) == 4 * [False]


def test_ink_follows_the_time_of_the_particles(visit):
    lab = visit("?data=ink_drop&T=100&rescale=1&t=10&n=200")
    lab.pause()
    lab.page.locator("#drifts-fields").scroll_into_view_if_needed()
    lab.until("drifts", "s.ready && s.shown >= 0")
    lab.page.wait_for_load_state("networkidle")
    asked, seen = len(lab.requests), []
    for t in (10, 60):
        lab.page.locator("#forward-stage .lab-range").fill(str(t))
        lab.until("drifts", f"Math.abs(s.header.times[s.shown] - {t}) <= 3")
        reach = max(map(abs, lab.stage("drifts", "s.field('exact', 'unmixing', s.shown)")))
        beta = lab.stage("forward", f"1 - (s.header.alpha[{t}] / s.header.alpha[{t - 1}]) ** 2")
        seen.append(reach / beta)
    assert seen[0] > seen[1]  # what un-mixes is strongest where there is little noise
    assert lab.requests[asked:] == []


def test_film_strip_shows_the_chosen_times(visit):
    """The default times are denser where there is little noise; a person's own replace them."""
    lab = visit("?t=0")
    titles = "Array.from(document.querySelectorAll('#forward-film-chart .annotation-text'), node => node.textContent)"
    expect_times = lambda *times: lab.page.wait_for_function(  # noqa: E731
        f"times => lab.charts['forward-film']?.idle && `${{{titles}}}` === `${{times}}`",
        arg=[f"t = {t}" for t in times],
    )
    expect_times(0, 29, 59, 99, 299, 999)
    data = lab.page.evaluate("lab.charts['forward-film'].gd.data.map(trace => [trace.type, trace.x.length])")
    assert data == [["scatter", 500]] * 6
    lab.more("forward")
    field = lab.page.locator("#forward-film textarea, #forward-film input")
    field.fill("0, 500, 1000")
    field.press("Enter")
    expect_times(0, 500, 1000)


def test_curves_have_a_cursor_at_t_and_set_it(visit):
    lab = visit("?t=250&n=200")
    lab.drawn("forward-curves")
    cursor = lab.page.locator("#forward-curves-chart .lab-cursor")
    at = cursor.bounding_box()["x"]
    lab.page.keyboard.press("End")
    lab.until("forward", "s.clock.t === 1000")
    lab.page.wait_for_function(
        "x => document.querySelector('#forward-curves-chart .lab-cursor').getBoundingClientRect().x > x + 100", arg=at
    )
    plot = lab.page.locator("#forward-curves-chart .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    lab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lab.until("forward", "Math.abs(s.clock.t - 500) < 5")


def test_at_rest_the_picture_is_a_real_plotly_scatter(visit):
    lab = visit("?t=123&n=300")
    lab.until("forward", "s.idle")
    trace = lab.stage("forward", "(t => ({type: t.type, x: Array.from(t.x), y: Array.from(t.y)}))(s.gd.data.at(-1))")
    shown = lab.positions("forward")
    assert trace["type"] == "scatter"
    assert trace["x"] == shown[::2]
    assert trace["y"] == shown[1::2]


def test_zoom_survives_a_new_recipe(visit):
    lab = visit("?t=300&n=200", fresh=True)
    lab.until("forward", "s.idle")
    box = lab.page.locator("#forward-stage .nsewdrag").first.bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=5)
    lab.page.mouse.up()
    lab.until("forward", "s.gd.layout.xaxis.range[1] < 3")
    zoomed = lab.stage("forward", "s.gd.layout.xaxis.range")
    lab.changed("forward", lambda: lab.number("forward-beta_max", 0.03))
    lab.until("forward", "s.idle")
    assert lab.stage("forward", "s.gd.layout.xaxis.range") == zoomed


def test_clicking_a_particle_follows_it(visit):
    lab = visit("?t=300&n=50", fresh=True)
    lab.until("forward", "s.idle")
    x, y = lab.positions("forward")[:2]
    pixel = "s.gd._fullLayout.{0}axis._offset + s.gd._fullLayout.{0}axis.d2p({1}) + s.gd.getBoundingClientRect().{0}"
    lab.page.mouse.click(*(lab.stage("forward", pixel.format(axis, value)) for axis, value in (("x", x), ("y", y))))
    lab.page.locator("#forward-stage .lab-ring").wait_for(state="visible")
    assert "particle" in lab.page.locator("#forward-stage [data-text=note]").inner_text()
