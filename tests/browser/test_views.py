"""The tab of the three views: four linked fields, and figures that follow their controls."""

import pytest
import torch

from ddpm_core import load_checkpoint
from ddpm_core.analysis.fields import pixel_centres
from ddpm_ui.exhibits.plane import SIDE
from ddpm_ui.exhibits.views.figures import FIGURES
from ddpm_ui.server.wire import VIEW
from tests.real import PHONE

SMALL = "?tab=views&data=two_moons&T=20&rescale=1&at=10"


@pytest.fixture
def look(visit):
    def begin(changes: str = "", **settings):
        return visit(f"{SMALL}{changes}", stage="views", ready="s.ready && s.shown >= 0", **settings)

    return begin


PIXELS = "Array.from(document.querySelectorAll('#views-fields .lab-grid canvas'), c => c.toDataURL())"


def pixels(lab) -> list[str]:
    return lab.page.evaluate(PIXELS)


def test_one_slider_moves_eight_panels_and_asks_nobody(look):
    lab = look("&t=2", fresh=True)
    for chart in ("errors", "step"):
        lab.drawn(f"views-{chart}")
    lab.page.wait_for_load_state("networkidle")  # the figures that are in sight
    before, asked = pixels(lab), len(lab.requests)
    assert len(set(before)) == 8
    reach = []
    for t in (2, 17):
        lab.page.locator("#views-fields .lab-range").fill(str(t))
        lab.until("views", f"s.shown === {t}")
        reach.append(max(map(abs, lab.stage("views", f"s.field('exact', 'score', {t})"))))
    assert all(a != b for a, b in zip(before, pixels(lab), strict=True))
    assert reach[1] < reach[0]  # the score of a noisier law is gentler
    assert lab.requests[asked:] == []
    lab.page.wait_for_url("**t=17**")
    again = look(f"&{lab.page.url.partition('?')[2]}", fresh=True)
    # A page that was just loaded is a pixel narrower until its charts have come.
    again.page.wait_for_function(f"before => {PIXELS}.join() === before.join()", arg=pixels(lab))


def test_the_panels_show_the_shipped_network(look):
    lab = look("&t=9")
    header = lab.stage("views", "({alpha: s.header.alpha[9], sigma: s.header.sigma[9]})")
    said = load_checkpoint("two_moons")(pixel_centres(VIEW, SIDE).float(), header["alpha"], header["sigma"]).eps
    shown = torch.tensor(lab.stage("views", "s.field('learned', 'eps', 9)")).view(-1, 2)
    assert (shown - said).abs().max() < 1e-3 * said.abs().max()


@pytest.mark.parametrize("touch", [False, True])
def test_pointing_puts_the_numbers_into_the_formulas(look, touch):
    lab = look("&t=9", **(PHONE if touch else {}))
    canvas = lab.page.locator("#views-fields .lab-grid canvas").nth(1)
    position = {"x": 60, "y": 45}
    canvas.tap(position=position) if touch else canvas.hover(position=position)
    lines = lab.page.locator("#views-fields .lab-point")
    lines.get_by_text("ε̂ =").wait_for()
    node = lab.stage("views", "s.node")
    eps = lab.stage("views", "s.field('learned', 'eps', 9)")[2 * node : 2 * node + 2]
    assert f"= ({', '.join(f'{c:.2f}'.replace('-', '−') for c in eps)})" in lines.inner_text()


def test_figures_follow_their_controls(look):
    lab = look()
    for chart, act in {
        "step": lambda: lab.number("views-at", 3),
        "tweedie": lambda: lab.number("views-particle", 8),
        "coefficients": lambda: lab.number("views-T", 12),
        "bound": lambda: lab.number("views-beta_max", 0.01),
        "likelihood": lambda: lab.choose("views-denoiser", "Exact"),
        "memory": lambda: (lab.more("views"), lab.number("views-seed", 5)),
    }.items():
        before, now = lab.after(f"views-{chart}", act)
        assert before != now
    curve = "lab.charts['views-coefficients'].gd.data[0].y.join()"
    for act in (
        lambda: lab.choose("views-schedule", "Sigmoid"),
        lambda: lab.choose("views-schedule", "Linear (DDPM)"),
        lambda: lab.number("views-beta_min", 0.005),
        lambda: lab.check("views-rescale"),
    ):
        lab.drawn("views-coefficients")
        before = lab.page.evaluate(curve)
        act()
        lab.page.locator("#views-coefficients-chart").scroll_into_view_if_needed()
        lab.page.wait_for_function(f"before => {curve} !== before", arg=before)
    lab.number("views-n", 70)
    lab.until("chosen", "s.header.n === 70")
    traces = "lab.charts['views-marginals'].gd.data.map(trace => trace.name)"
    lab.number("views-churn", 0.25)
    lab.page.locator("#views-marginals-chart").scroll_into_view_if_needed()
    lab.page.wait_for_function(f"{traces}.includes('η = 0.25')")
    lab.page.wait_for_url("**churn=0.25**")


def test_a_click_on_a_particle_chooses_it(look):
    """The step back, the points that it may have come from and the link are then those of the particle."""
    lab = look("&n=60")
    stage = lab.page.locator("#chosen-stage")
    stage.scroll_into_view_if_needed()
    lab.until("chosen", "s.idle && s.painted > 0")
    lab.drawn("views-tweedie")
    before = lab.alt("views-tweedie")
    stage.scroll_into_view_if_needed()
    spot = lab.page.evaluate("""() => {
      const s = lab.stages.chosen, [x, y] = s.positions(s.clock.t).slice(14, 16), {xaxis, yaxis} = s.gd._fullLayout;
      const {left, top} = s.gd.getBoundingClientRect();
      return [left + xaxis._offset + xaxis.l2p(x), top + yaxis._offset + yaxis.l2p(y)];
    }""")
    lab.page.mouse.click(*spot)
    lab.page.wait_for_url("**particle=*")
    chosen = int(lab.page.url.partition("particle=")[2].partition("&")[0])
    place = lab.stage("chosen", f"Array.from(s.positions(s.clock.t).slice({2 * chosen}, {2 * chosen + 2}))")
    assert place == pytest.approx(lab.stage("chosen", "Array.from(s.positions(s.clock.t).slice(14, 16))"), abs=0.1)
    assert lab.page.locator("#views-particle input[type=number]").input_value() == str(chosen)
    lab.page.locator("#views-tweedie-chart").scroll_into_view_if_needed()
    lab.page.wait_for_function(
        "before => document.querySelector('#views-tweedie-chart .lab-hidden').textContent !== before", arg=before
    )


def test_what_no_network_said_is_not_called_learned(look):
    lab = look("&denoiser=exact&t=9")
    lab.drawn("views-recite")
    traces = lab.page.evaluate("lab.charts['views-recite'].gd.data.map(trace => trace.name)")
    assert traces == ["training points", "samples, optimal model", "training points", "samples, exact denoiser"]
    badges = lab.page.locator("#views-fields .lab-badge, #views-recite-chart .lab-badge").all_inner_texts()
    assert set(badges) == {"exact"}
    assert len(badges) == 9
    assert lab.stage("views", "s.field('exact', 'eps', 9).some(x => x)")


def test_the_chosen_particle_is_shown_among_fewer(look):
    lab = look("&n=5&particle=30")
    lab.page.locator("#chosen-stage").scroll_into_view_if_needed()
    lab.until("chosen", "s.idle && s.painted > 0 && s.header.n === 31")
    lab.page.locator("#chosen-stage").get_by_text("particle 30:").wait_for()


def test_a_bad_link_names_the_field_and_shows_the_default(look):
    lab = look("&churn=nan")
    assert "churn" in lab.page.locator("#views-note").inner_text()


def test_a_figure_that_takes_long_says_so(look):
    lab = look()
    hold = lambda route: (lab.page.wait_for_timeout(1000), route.continue_())  # noqa: E731
    lab.page.route("**/lab/figure/tweedie*", hold, times=1)
    lab.number("views-particle", 3)
    lab.page.locator("#views-tweedie-chart").scroll_into_view_if_needed()
    caption = lab.page.locator("#views-tweedie-chart .lab-caption")
    caption.get_by_text("computing this figure").wait_for()
    caption.get_by_text("Where x_t may have come from").wait_for()


def test_panels_stack_on_a_phone(look):
    lab = look(**PHONE)
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [lab.page.locator("#views-fields .lab-grid figure").nth(k).bounding_box() for k in range(8)]
    assert len({round(box["x"]) for box in boxes}) == 2  # learned, exact
    assert len({round(box["y"]) for box in boxes}) == 4
    heading = lab.page.get_by_role("heading", name="Variational").bounding_box()
    assert (
        heading["y"] < lab.page.locator("#chosen-stage").bounding_box()["y"]
    )  # under its heading, not above the controls


def test_every_panel_and_chart_has_a_text_alternative(look):
    lab = look(locale="zh-CN")
    lab.page.locator("#views-fields .lab-grid canvas[aria-label]").nth(7).wait_for()
    labels = lab.page.evaluate(
        "Array.from(document.querySelectorAll('#views-fields .lab-grid canvas'), c => c.getAttribute('aria-label'))"
    )
    assert len(set(labels)) == 8
    assert all("λ" in label for label in labels)
    for chart in FIGURES:
        lab.drawn(f"views-{chart}")
        assert any("一" <= letter <= "鿿" for letter in lab.alt(f"views-{chart}"))
