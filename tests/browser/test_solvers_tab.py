"""The tab of the solvers: a race on one clock, and figures that follow their controls."""

import pytest

from ddpm_ui.exhibits.solvers.figures import FIGURES
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Solvers
from tests.real import PHONE

SMALL = "?tab=solvers&data=eight_gaussians&n=300&nfe=6&solvers=ddim,heun,dpmpp_2m"


@pytest.fixture
def start(visit):
    def begin(changes: str = "", **settings):
        return visit(f"{SMALL}{changes}", stage="race-0", ready="s.header?.done", **settings)

    return begin


def racers(lab) -> list[str]:
    """The titles of the stages that are on show."""
    titles = "Array.from(document.querySelectorAll('.lab-race .lab-title'), t => lab.visible(t) ? t.innerText : '')"
    return [title.split("\n")[-1].split("learned ")[-1].strip() for title in lab.page.evaluate(titles) if title]


def test_solvers_race_from_the_same_particles_on_one_clock_and_ask_nobody(start):
    lab = start()
    assert racers(lab) == ["DDIM", "Heun", "DPM-Solver++(2M)"]
    for place in range(3):
        lab.finished(f"race-{place}")
    begin, end = ([lab.positions(f"race-{place}", t) for place in range(3)] for t in (6, 0))
    assert begin[0] == begin[1] == begin[2] and end[0] != end[1] != end[2]
    asked = len(lab.requests)
    bar = lab.page.locator("#race-0-stage .lab-range")
    for left in ("4", "0"):
        bar.fill(left)
        for place in range(3):
            lab.until(f"race-{place}", f"s.idle && s.clock.t === {left}")
            nfe = lab.page.locator(f"#race-{place}-stage [data-number=nfe]").inner_text()
            assert int(nfe) == {"4": 3, "0": 5 if place == 1 else 6}[left]  # Heun: two a step, one at the last
    assert lab.requests[asked:] == []
    numbers = [float(lab.page.locator(f"#race-{p}-stage [data-number=series]").inner_text()) for p in range(3)]
    assert len(set(numbers)) > 1
    for text in ("excess NLL", "95%", "sliced W₂", "p = ", "strong error"):
        lab.page.locator("#race-2-stage .lab-metrics").get_by_text(text).wait_for()


def test_who_races_and_for_how_much_is_chosen_and_a_link(start):
    lab = start()
    lab.page.locator("#solvers-solvers input").click()
    lab.page.get_by_role("option", name="UniPC-2", exact=True).click()
    lab.until("race-3", "s.header?.done")
    lab.page.keyboard.press("Escape")
    assert racers(lab)[-1] == "UniPC-2"
    lab.changed("race-0", lambda: lab.number("solvers-nfe", 9), "s.header.axis.last === 9")
    lab.changed("race-0", lambda: lab.choose("solvers-denoiser", "Exact"), "s.header.badge === 'exact'")
    lab.finished("race-3")
    lab.page.wait_for_url("**solvers=ddim,heun,dpmpp_2m,unipc_2**")
    again = start("&" + lab.page.url.partition("?")[2].replace("&t=9", ""))
    again.finished("race-3")
    assert again.positions("race-3", 0) == lab.positions("race-3", 0)
    again.page.locator("#solvers-solvers .remove-all").click()
    again.page.locator("#solvers-note").get_by_text("solvers must have at least one").wait_for()


def test_layers_of_the_first_are_layers_of_all(start):
    lab = start(fresh=True)
    for place in range(3):
        lab.finished(f"race-{place}")
    lab.page.locator("#race-0-stage [data-layer=trails]").click()
    for place in range(3):
        lab.until(f"race-{place}", "s.idle && s.gd.data.some(trace => trace.mode === 'lines')")


def test_a_bad_link_names_the_field(visit):
    lab = visit(f"{SMALL}&solvers=ddim,nobody", stage="race-0")
    lab.page.locator("#solvers-note").get_by_text("solvers must").wait_for()
    for place in range(MAX_RACERS):
        lab.until(f"race-{place}", "s.painted > 0")
    assert len(racers(lab)) == len(Solvers.solvers) == MAX_RACERS


def test_figures_follow_their_controls(visit):
    """One solver is enough to see that, and its figures are drawn three times as fast."""
    lab = visit(SMALL.replace("ddim,heun,dpmpp_2m", "ddim"), stage="race-0", ready="s.header?.done")
    for chart, act in {
        "steps": lambda: lab.choose("solvers-stepper", "Heun"),
        "law": lambda: lab.choose("solvers-metric", "energy distance"),
        "strong": lambda: lab.choose("solvers-spacing", "uniform in λ"),
        "enough": lambda: lab.choose("solvers-data", "Twenty-five Gaussians"),
    }.items():
        before, now = lab.after(f"solvers-{chart}", act)
        assert before != now
        if chart == "law":
            caption = lab.page.locator("#solvers-law-chart .lab-caption")
            caption.get_by_text("detects: shift, missing mode").wait_for()
            assert "misses: blur, outliers" in caption.inner_text()
    lab.more("solvers")
    for act in (
        lambda: lab.choose("solvers-schedule", "Cosine"),
        lambda: lab.choose("solvers-schedule", "Linear (DDPM)"),
        lambda: lab.number("solvers-beta_max", 0.03),
        lambda: lab.number("solvers-beta_min", 0.001),
        lambda: lab.number("solvers-T", 400),
        lambda: lab.check("solvers-rescale"),
        lambda: lab.choose("solvers-schedule", "Karras (EDM)"),
        lambda: lab.number("solvers-sigma_max", 30),
        lambda: lab.number("solvers-sigma_min", 0.03),
    ):
        before = lab.stage("race-0", "s.header.sigma.join()")
        act()
        lab.until("race-0", f"s.header.sigma.join() !== {before!r}")
    for control, value in (("n", 200), ("seed", 4)):
        before = lab.positions("race-0", 0)
        lab.changed("race-0", lambda control=control, value=value: lab.number(f"solvers-{control}", value))
        assert lab.positions("race-0", 0) != before


def test_sweeps_mend_the_trajectory(start):
    lab = start()
    lab.page.locator("#sweeps-stage").scroll_into_view_if_needed()
    lab.until("sweeps", "s.header?.done && s.idle")
    metrics = lab.page.locator("#sweeps-stage .lab-metrics")
    last, end = metrics.inner_text(), lab.positions("sweeps", 0)
    lab.page.locator("#sweeps-stage .lab-shots .lab-range").fill("1")
    lab.until("sweeps", "s.idle")
    assert metrics.inner_text() != last
    assert max(abs(a - b) for a, b in zip(end, lab.positions("sweeps", 0), strict=True)) > 0.3


def test_on_a_phone_nothing_scrolls_sideways_and_every_chart_has_words(start):
    lab = start(**PHONE)
    for name in FIGURES:
        lab.drawn(f"solvers-{name}")
        lab.page.wait_for_function(
            "c => document.querySelector(`#${c}-chart .lab-hidden`).textContent", arg=f"solvers-{name}"
        )
        assert "{" not in lab.alt(f"solvers-{name}")
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 390
