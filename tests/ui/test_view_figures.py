"""What the tab of the three views shows: fields as a stream, the rest as figures, as the mathematics says."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from ddpm_core import SCHEDULES, MixtureDenoiser
from ddpm_core.analysis.fields import pixel_centres
from ddpm_ui.exhibits.forward.figures import forgetting, why
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.exhibits.forward.stream import drifts
from ddpm_ui.exhibits.particles import denoiser_of
from ddpm_ui.exhibits.plane import SIDE
from ddpm_ui.exhibits.views.figures import FIGURES, figure
from ddpm_ui.exhibits.views.recipe import Views
from ddpm_ui.exhibits.views.stream import LAM, VIEWS, fields
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server.wire import VIEW, Kind, Trajectory, parts
from ddpm_ui.words import STRINGS

MOONS = Views(data="two_moons", T=20, rescale=True, at=10)


def trace(figure: go.Figure, name: str):
    return next(trace for trace in figure.data if trace.name == name)


def changed(**values) -> Views:
    return Views(**{"data": "two_moons", "T": 20, "rescale": True, "at": 10} | values)


@pytest.fixture(scope="module")
def stream() -> tuple[dict, list[tuple[np.ndarray, np.ndarray]]]:
    """The header, and for each level the vectors [2, 4, side^2, 2] and the density [side^2]."""
    sent = Trajectory.decode(fields(MOONS))
    assert list(sent.fields) == list(range(len(sent.fields)))
    return sent.header, list(sent.fields.values())


@pytest.mark.parametrize("level", [0, 9, 19])
def test_the_fields_are_what_the_denoisers_say(stream, level):
    head, levels = stream
    assert head["done"]
    assert len(levels) == len(LAM)
    vectors, density = levels[level]
    points, mixture = pixel_centres(VIEW, SIDE), mixture_of("two_moons")
    alpha, sigma = head["alpha"][level], head["sigma"][level]
    for row, denoiser in enumerate((denoiser_of("network", "two_moons"), MixtureDenoiser(mixture))):
        said = denoiser(points.float(), alpha, sigma)
        for column, view in enumerate(VIEWS):
            field = getattr(said, view).double() - (points if view == "x0" else 0)
            assert np.abs(vectors[row, column] - field.numpy()).max() < 1e-4 * field.abs().max()
    p = mixture.noised(alpha, sigma).log_prob(points).exp()
    assert np.abs(density - (p / p.max()).numpy()).max() < 0.5 / 255 + 1e-9


def test_views_convert_with_no_more_than_rounding(stream):
    assert 0 < stream[0]["residual"] < 1e-4


def test_which_view_is_hard_depends_on_the_noise_level(stream):
    """Near the data x0 is easy and eps hard; in noise it is the other way round."""
    error = stream[0]["error"]
    assert error["x0"][0] < error["eps"][0]
    assert error["eps"][-1] < error["x0"][-1]
    assert error["eps"] == pytest.approx(error["score"], rel=1e-4)  # one is the other over -sigma


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_shows_in_both_languages(name):
    drawn = figure(name, MOONS)
    meta = drawn.layout.meta
    (key, values), badges = meta["alt"], meta["badges"]
    axes, traces = [*drawn.select_xaxes(), *drawn.select_yaxes()], drawn.select_traces()
    shown = [axis.title.text or "" for axis in axes] + [text for axis in axes for text in axis.ticktext or ()]
    shown += [part.removesuffix(" nats") for trace in traces for part in (trace.name or "").split(" · ")]
    shown += [x for trace in drawn.select_traces("bar") for x in trace.x if isinstance(x, str)]
    assert not [text for text in shown if re.search("[a-z]{3}", text) and text not in STRINGS["zh-CN"]]
    for words in STRINGS.values():
        assert "{" not in words[key].format(**values)
        assert words[meta["title"]]
    assert badges
    assert set(badges) <= {"learned", "exact", "illustrative"}
    assert list(figure(name, changed(denoiser="exact")).layout.meta["badges"]) == ["exact"]


def test_a_large_step_back_has_many_humps_and_a_small_one_has_one():
    """Pushing beta up makes the way back ambiguous: why many small steps are needed."""

    def humps(T: int, beta: float) -> list[int]:
        recipes = [Views(data="eight_gaussians", T=T, beta_max=beta, at=T, particle=k) for k in range(8)]
        return [figure("step", recipe).layout.meta["alt"][1]["humps"] for recipe in recipes]

    assert set(humps(1000, 0.02)) == {1}
    assert min(humps(2, 0.5)) > 1


def test_the_bound_falls_towards_the_entropy_with_more_steps():
    totals = []
    for T in (10, 100):
        said = figure("bound", changed(T=T, rescale=True, schedule="cosine", denoiser="exact")).layout.meta["alt"][1]
        totals.append(float(said["beta"]))
    assert totals[0] > totals[1] > float(said["entropy"]) - 0.05


def test_the_mean_is_all_estimate_at_the_last_step():
    drawn = figure("coefficients", MOONS)
    assert trace(drawn, "x̂₀").y[0] == 1
    assert trace(drawn, "xₜ").y[0] == 0
    assert trace(drawn, "x̂₀").y[-1] < trace(drawn, "xₜ").y[-1]


def test_origins_spread_with_the_noise_and_the_exact_estimate_is_their_mean():
    spreads = []
    for at in (2, 18):
        drawn = figure("tweedie", changed(at=at, denoiser="exact"))
        ends = np.array([trace(drawn, "xₜ → x₀").x[1::3], trace(drawn, "xₜ → x₀").y[1::3]])
        spreads.append(ends.std(1).max())
        assert float(drawn.layout.meta["alt"][1]["off"]) < 1e-3
        mean = np.array([trace(drawn, "mean of x₀").x[0], trace(drawn, "mean of x₀").y[0]])
        assert np.abs(ends.mean(1) - mean).max() < 5 * ends.std(1).max() / ends.shape[1] ** 0.5 + 1e-9
    assert spreads[0] < spreads[1]


def test_only_annealing_finds_the_shares_of_far_modes():
    said = figure("modes", MOONS).layout.meta["alt"][1]
    truth = float(said["truth"])
    assert abs(float(said["annealed"]) - truth) < 0.08 < abs(float(said["one"]) - truth)


def test_fresh_noise_changes_paths_and_leaves_the_marginals():
    """With the exact denoiser every share of fresh noise stays near the floor at every t."""
    drawn = figure("marginals", changed(denoiser="exact", churn=0.5))
    floor = np.array(trace(drawn, "floor").y)
    for name in ("ODE", "η = 0.5", "SDE"):
        assert (np.array(trace(drawn, name).y) / floor).max() < 3


def test_one_path_in_three_coordinates_ends_at_one_point():
    drawn = figure("coordinates", changed(particle=5))
    preserving, flow, exploding = (trace(drawn, name) for name in ("variance preserving", "flow", "variance exploding"))
    for other in (flow, exploding):
        assert (other.x[-1], other.y[-1]) == pytest.approx((preserving.x[-1], preserving.y[-1]), abs=1e-9)
    length = np.hypot(np.diff(flow.x), np.diff(flow.y)).sum()
    chord = np.hypot(flow.x[-1] - flow.x[0], flow.y[-1] - flow.y[0])
    assert length > 1.0001 * chord  # only conditional paths are straight


def test_the_flow_of_the_exact_denoiser_knows_the_density():
    drawn = figure("likelihood", Views(data="two_moons", denoiser="exact"))
    dots = trace(drawn, "probability-flow ODE")
    assert np.abs(np.array(dots.y) - np.array(dots.x)).max() < 1e-2


def test_fewer_points_matter_near_the_data_and_fewer_points_are_recited_earlier():
    drawn = figure("memory", MOONS)
    counts = {name: np.array(trace(drawn, f"n = {name}").y) for name in (50, 500, 5000)}
    for size, count in counts.items():
        assert count[0] < 0.1 * size
        assert count[-1] == pytest.approx(size, rel=0.1)
    assert counts[50][5] / 50 < 1
    half = [int((count < size / 2).sum()) for size, count in counts.items()]
    assert half == sorted(half)


@pytest.mark.parametrize("data", ["two_moons", "ink_drop"])
def test_without_the_shrinking_the_variance_runs_away(data):
    """What the particles do lies on the exact curves; the entropy ends where that of any other data does."""
    figure = why(Forward(data=data, T=200, rescale=True))
    keeping, kept, growing, grown, entropy, even = figure.data
    for line, dots in ((keeping, kept), (growing, grown)):
        exact = np.array(line.y)[list(dots.x)]
        assert np.abs(np.array(dots.y) / exact - 1).max() < 5 * (2 / 1000) ** 0.5  # the variance of 1000 points
    assert keeping.y[-1] == pytest.approx(1, abs=0.01)
    assert growing.y[-1] > 5
    assert entropy.y[0] < entropy.y[-1] == pytest.approx(np.log(2 * np.pi * np.e), abs=0.1)
    assert even.y[-1] == pytest.approx(entropy.y[-1], abs=0.02)  # the same end
    assert even.y[2] > entropy.y[2] + 0.1  # but most of the way at once


@pytest.mark.parametrize("T", [1, 1000])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_has_its_reasons(schedule, T):
    """Two roads to one end: at T the entropy is the same with the schedule's beta and with the same in every step."""
    *_, entropy, even = why(Forward(schedule=schedule, T=T)).data
    assert entropy.x[-1] == T and np.isfinite([*entropy.y, *even.y]).all()
    assert even.y[-1] == pytest.approx(entropy.y[-1], abs=1e-6)


def test_all_data_become_the_same_noise_as_alpha_bar_vanishes():
    full, part = (forgetting(Forward(T=50, rescale=rescale)) for rescale in (True, False))
    ends = [[curve.y[-1] for curve in figure.data] for figure in (full, part)]
    (alpha_bar, *noise), (left, *not_yet) = ends
    assert alpha_bar < 1e-3 < 0.5 < left
    assert len(noise) == 4
    assert max(map(abs, noise)) < 0.01 < min(not_yet)


def test_one_noise_has_one_way_for_the_ode_and_many_for_the_sde():
    for churn, names in ((0.3, ["SDE", "η = 0.3", "ODE"]), (0.0, ["SDE", "ODE"])):
        drawn = figure("paths", changed(churn=churn))
        assert [curve.name for curve in drawn.data if curve.mode == "lines"] == names
        said = drawn.layout.meta["alt"][1]
        assert float(said["ode"]) < 0.01 < 0.2 < float(said["sde"])
        starts = {(curve.x[0], curve.y[0]) for curve in drawn.data if curve.mode == "lines"}
        assert len(starts) == 1


def test_a_perfect_model_recites_and_a_network_does_not():
    said = figure("recite", MOONS).layout.meta["alt"][1]
    assert float(said["perfect"]) < 0.01 < 0.02 < float(said["other"])
    assert float(said["other"]) == pytest.approx(float(said["fresh"]), rel=0.5)


def test_drifts_are_what_the_exact_score_says():
    recipe = Forward(data="ink_drop", T=30, rescale=True)
    sent = Trajectory.decode(drifts(recipe))
    header = sent.header
    assert header["times"][0] == 1
    assert header["times"][-1] == 30
    points, mixture, schedule = pixel_centres(VIEW, SIDE), mixture_of("ink_drop"), recipe.full_schedule
    index, t = 12, header["times"][12]
    (vectors,), _ = sent.fields[index]
    beta, score = schedule.betas[t - 1], mixture.noised(schedule.alpha[t], schedule.sigma[t]).score(points)
    for moved, expected in zip(
        vectors[2:], (-beta / 2 * (points + score), beta / 2 * points + beta * score), strict=True
    ):
        assert np.abs(moved - expected.numpy()).max() < 1e-4 * expected.abs().max()


def refuse(constant: str):
    raise AssertionError(f"{constant} is no JSON")


def test_a_browser_can_read_every_header():
    """Python writes NaN and Infinity, where alpha or sigma is 0 for instance. JSON.parse refuses all of it then."""
    headers = [payload for kind, payload in parts(fields(Views(schedule="flow", T=1))) if kind == Kind.JSON]
    assert len(headers) > 1
    for header in headers:
        json.loads(header, parse_constant=refuse)
