"""What the tab of the solvers shows: the race, errors over evaluations, single steps, sweeps, and the table."""

import re

import numpy as np
import pytest
import torch

from benchmarks import solver_table
from ddpm_core import (
    DATASETS,
    METRICS,
    PANEL,
    SAMPLERS,
    MixtureDenoiser,
    ParticleNoise,
    load_checkpoint,
    sample,
    sliced_w2,
)
from ddpm_core.data.own_data import encode
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.exhibits.solvers.figures import CLOUDED, FIGURES, figure, table
from ddpm_ui.exhibits.solvers.plots import from_here_on, verdict
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Racer, Solvers
from ddpm_ui.exhibits.solvers.stream import race, sweeps
from ddpm_ui.recipes import RACERS, mixture_of
from ddpm_ui.server.wire import RANGE, Trajectory
from ddpm_ui.words import STRINGS

MOONS = Solvers(data="two_moons", solvers=("ddim", "dpmpp_2m", "unipc_2", "ddpm"))
QUANTUM = RANGE / 32767


def curves(made) -> dict[tuple[str, str], tuple[list, list]]:
    """(solver, dash) -> x and y of the curves that are there; what only stands in the legend has no numbers."""
    drawn = [trace for trace in made.data if trace.x is not None and trace.x[0] is not None]
    return {(trace.name.split(" · ")[0], trace.line.dash): (list(trace.x), list(trace.y)) for trace in drawn}


@pytest.fixture(scope="module")
def strong():
    return figure("strong", MOONS)


# ---- the race -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RACERS)
def test_a_racer_ends_where_its_sampler_ends_for_the_same_price(name):
    recipe = Racer(data="two_moons", sampler=name, nfe=9, n=200, denoiser="exact", seed=3)
    run = Trajectory.decode(race(recipe))
    noise, times = ParticleNoise(3, 200), run.header["times"]
    last = sample(name, MixtureDenoiser(DATASETS["two_moons"]()), recipe.walked(), noise)
    np.testing.assert_allclose(run.at(0), last.x, atol=2 * QUANTUM)
    assert last.nfe <= 9 == run.header["axis"]["last"] == times[0] and times[-1] == 0
    assert set(np.diff(times[:-1])) <= {-TRAITS[name].per_step}
    assert sorted(run.frames) == sorted(times) and len(run.header["series"]["value"]) == len(times)
    assert ("strong_error" in [m["name"] for m in run.header["metrics"]]) == (not TRAITS[name].stochastic)


def test_the_levels_of_a_race_are_those_that_the_particles_are_at():
    recipe = Racer(sampler="heun", nfe=7, n=5)
    header, grid = Trajectory.decode(race(recipe)).header, recipe.walked()
    assert header["times"] == [7, 5, 3, 0] or header["times"] == [7, 5, 3, 1, 0]
    for left, t in zip(header["times"], range(grid.T, -1, -1), strict=True):
        assert header["sigma"][left] == pytest.approx(grid.sigma[t].item(), rel=1e-6)
    assert header["sigma"] == sorted(header["sigma"])


def test_all_start_from_the_same_particles():
    starts = [Trajectory.decode(race(racer)).at(12) for racer in Solvers(n=50).racers()]
    assert len(starts) == MAX_RACERS and all((start == starts[0]).all() for start in starts)


def test_the_distance_falls_on_the_way_and_ends_as_the_metric_says():
    header = Trajectory.decode(race(Racer(sampler="dpmpp_2m", nfe=40, n=1000))).header
    distance = header["series"]["value"]
    final = next(m for m in header["metrics"] if m["name"] == "sliced_w2")
    assert distance[-1] == pytest.approx(final["value"], abs=final["floor"])


def test_a_racer_says_how_sure_its_numbers_are():
    """The exact denoiser's cloud passes the permutation test and covers the data; a ring of noise does neither."""
    fine, coarse = (
        {
            m["name"]: m
            for m in Trajectory.decode(race(Racer(sampler="dpmpp_2m", nfe=nfe, denoiser="exact"))).header["metrics"]
        }
        for nfe in (40, 2)
    )
    for found in (fine, coarse):
        low, high = found["excess_nll"]["interval"]
        assert low < found["excess_nll"]["value"] < high and high - low < 0.2 * max(1, high)
    assert fine["sliced_w2"]["p"] > coarse["sliced_w2"]["p"] == 0.02  # the least that 99 divisions can tell
    assert coarse["precision"]["value"] < 0.6 < 0.9 < fine["precision"]["value"] and fine["recall"]["value"] > 0.9


# ---- errors over evaluations ----------------------------------------------------------------------------------------


def test_slopes_are_the_orders_that_theory_promises(strong):
    for name, slope, order in re.findall(r"(\w+) ([\d.]+) \((\d)\)", strong.layout.meta["alt"].values["slopes"]):
        assert float(slope) == pytest.approx(int(order), abs=0.4), name


def test_learned_and_exact_agree_until_the_network_is_the_problem(strong):
    found = curves(strong)
    for name in ("dpmpp_2m", "unipc_2"):
        learned, exact = (np.array(found[f"choice_{name}", dash][1]) for dash in ("solid", "dot"))
        assert learned[0] == pytest.approx(exact[0], rel=0.2)
        assert exact[-1] < learned[-1] / 3 and learned[-1] > learned[-2] / 2  # one goes on, the other does not
    assert not any("ddpm" in name for name, _ in found)  # fresh noise follows no flow


def test_more_evaluations_come_closer_until_perfect():
    made = figure("law", MOONS)
    _, low, high = sliced_w2.floor(mixture_of("two_moons"), CLOUDED)
    for (name, _), (nfe, distance) in curves(made).items():
        if name.startswith("choice_"):
            assert nfe == sorted(nfe) and low / 2 < distance[-1] < high
            if name in ("choice_ddim", "choice_ddpm"):
                assert distance[0] > 1.5 * distance[-1]
    assert {"choice_ddpm", "perfect samples"} <= {trace.name for trace in made.data}


@pytest.mark.parametrize("metric", ["excess_nll", "precision"])
def test_other_distances_are_drawn_too(metric):
    made = figure("law", Solvers(data="two_moons", solvers=("ddim",), metric=metric, denoiser="exact"))
    assert metric in made.layout.yaxis.title.text and made.layout.meta["alt"].values["metric"].key == f"choice_{metric}"


def test_steps_stand_where_the_levels_are():
    made = figure("steps", Solvers(data="two_moons", nfe=10))
    assert len(made.data) == 10
    for errors, ticks in zip(made.data[::2], made.data[1::2], strict=True):
        assert errors.x == ticks.x and len(errors.y) == 10 and min(errors.y) > 0
    lam = made.data[0].x
    assert list(lam) == sorted(lam)  # drawn from noise, whose lam is the smallest, to data
    even = next(trace.x for trace in made.data if trace.name == "choice_uniform_lam")
    assert np.std(np.diff(even)) < 0.02 * np.mean(np.diff(even))


# ---- what was computed beforehand -----------------------------------------------------------------------------------


def test_the_table_knows_its_data_sets_and_no_solver_that_is_gone():
    """A solver that it lacks is no failure: the figures say so (below)."""
    assert table()["data"].keys() == DATASETS.keys()
    for found in table()["data"].values():
        for rows in found["rows"].values():
            assert set(rows) <= set(RACERS)
            assert all(set(row) == set(PANEL) for row in rows.values())
            assert all(len(values) == len(table()["nfe"]) for row in rows.values() for values in row.values())
        assert all(low < high for low, high in found["limits"].values())


@pytest.mark.parametrize("name", ["enough", "whole"])
def test_a_solver_that_the_table_lacks_is_drawn_as_not_computed(name, monkeypatch):
    shown = figure(name, MOONS).layout.yaxis.ticktext
    rows = {
        meaning: {k: v for k, v in found.items() if k != "heun"}
        for meaning, found in table()["data"]["two_moons"]["rows"].items()
    }
    monkeypatch.setitem(table()["data"], "two_moons", table()["data"]["two_moons"] | {"rows": rows})
    made = figure(name, MOONS)
    assert made.layout.yaxis.ticktext[0] == "choice_heun · not_computed"
    assert len(made.layout.yaxis.ticktext) == len(shown) and not any("not_computed" in text for text in shown)
    if name == "enough":
        assert all(0 not in trace.y for trace in made.data)
    else:
        assert set(made.data[0].z[0]) == {None}


@pytest.mark.parametrize("data, name", [("two_moons", "ddim"), ("swiss_roll", "dpmpp_2m_sde"), ("heart", "heun")])
def test_the_table_is_what_its_command_finds(data, name):
    stored = table()["data"][data]
    found = solver_table.medians(name, load_checkpoint(data), data, table()["nfe"][:2])
    for metric in PANEL:
        assert found[metric] == pytest.approx(stored["rows"]["learned"][name][metric][:2], rel=0.02)
    law = mixture_of(data)
    fresh = law.sample(table()["n"], generator=torch.Generator())
    perfect = {metric: METRICS[metric].measure(fresh, law) for metric in PANEL}
    for metric, measured in perfect.items():
        assert stored["limits"][metric] == pytest.approx([measured.low, measured.high], rel=0.01)


def test_the_table_rests_on_enough_samples_and_more_than_one_eye():
    """Ten thousand of each, three times; and some metric of the panel sees each defect that makes samples worse."""
    assert table()["n"] >= 10_000 and table()["seeds"] >= 3
    assert {"blur", "lost_mode", "outliers", "shift"} <= {defect for metric in PANEL for defect in METRICS[metric].sees}


def test_enough_asks_every_metric_and_every_larger_number():
    """What was called enough before: a sliced W2 in its range, while another metric is far out, or the next number."""
    nfes = (5, 8, 12, 20)
    assert verdict({"a": [3, 0.9, 0.5, 0.5], "b": [9, 4, 0.9, 0.8]}, nfes) == (12, "b")
    assert verdict({"a": [0.9, 0.9, 2, 0.5], "b": [0.5] * 4}, nfes) == (20, "a")
    assert verdict({"a": [0.1] * 4, "b": [9, 6, 4, 2]}, nfes) == (None, "b")
    assert verdict({"a": [5, 4, 3, 2], "b": [9, 6, 4, 3]}, nfes) == (None, "b")  # both to the end: the worse one
    assert [from_here_on(nfes, good) for good in ([1] * 4, [0, 1, 0, 1], [1, 1, 1, 0])] == [5, 20, None]


def test_blur_is_not_enough():
    """Five evaluations of these solvers blur by half a nat and more; sliced W2 alone did not see it."""
    for data in ("swiss_roll", "two_spirals", "checkerboard"):
        found = table()["data"][data]
        limits, rows = found["limits"], found["rows"]["learned"]
        for name in ("dpmpp_2m", "deis", "unipc_2"):
            assert rows[name]["excess_nll"][0] > 10 * limits["excess_nll"][1]
            made = figure("enough", Solvers(data=data))
            place = made.layout.yaxis.ticktext.index(f"choice_{name}")
            assert made.data[0].x[list(made.data[0].y).index(place)] > 8


@pytest.mark.parametrize("data", ["heart", "eight_gaussians"])
def test_a_mark_is_where_the_last_metric_is_in_its_range(data):
    found, nfe = table()["data"][data], table()["nfe"]
    made = figure("enough", Solvers(data=data))
    names = [text.removeprefix("choice_") for text in made.layout.yaxis.ticktext]
    symbols = {trace.name.split("choice_")[1]: trace.marker.symbol for trace in made.data[2:]}
    assert list(symbols) == list(PANEL) and len(set(symbols.values())) == len(PANEL)
    for trace, rows in zip(made.data[:2], found["rows"].values(), strict=True):
        for x, y, symbol in zip(trace.x, trace.y, trace.marker.symbol, strict=True):
            good = [
                all(found["limits"][m][0] <= rows[names[y]][m][k] <= found["limits"][m][1] for m in PANEL)
                for k in range(len(nfe))
            ]
            last = next(metric for metric in PANEL if symbols[metric] == symbol.removesuffix("-open"))
            low, high = found["limits"][last]
            if symbol.endswith("-open"):
                assert x > nfe[-1] and not good[-1] and not low <= rows[names[y]][last][-1] <= high
            else:
                k = nfe.index(x)
                assert all(good[k:]) and (k == 0 or not low <= rows[names[y]][last][k - 1] <= high)


def test_peoples_own_data_have_no_table_and_the_figures_say_so():
    own = Solvers(data=encode(np.random.default_rng(0).normal(size=(20, 2))), denoiser="exact")
    for name in ("enough", "whole"):
        assert figure(name, own).layout.meta["alt"].key == "alt_no_table"


# ---- parallel in time -----------------------------------------------------------------------------------------------


def test_sweeps_end_where_euler_ends_and_the_noise_end_is_right_first():
    recipe = Solvers(data="two_moons", denoiser="exact")
    run = Trajectory.decode(sweeps(recipe))
    T, shots = run.header["axis"]["last"], run.shots
    noise = ParticleNoise(0, run.header["n"])
    grid = recipe.full_schedule.subsample(T)
    x_T = grid.scale[-1].item() * noise.start()
    walk = list(SAMPLERS["euler"](MixtureDenoiser(DATASETS["two_moons"]()), grid, x_T, noise=noise))
    path = torch.stack([step.x / grid.scale[step.t] for step in reversed(walk)]).numpy()
    np.testing.assert_allclose(shots[T], path, atol=2 * QUANTUM + 1e-4)
    wrong = [np.abs(shots[k] - path).max((1, 2)) for k in sorted(shots)]  # [sweeps, T + 1]
    for k, errors in enumerate(wrong):
        assert (errors[T - k :] < 2 * QUANTUM + 1e-4).all()  # k nodes after the start
    assert wrong[0][0] > 100 * wrong[T][0]
    moved, asked = (row["value"] for row in run.header["per_shot"])
    assert moved[0] is None and moved[-1] < 1e-3 < moved[1] and asked[-1] == T * (T + 1) // 2


def test_every_figure_says_in_words_what_it_shows():
    for name in FIGURES:
        meta = figure(name, MOONS).layout.meta
        assert meta["title"] in STRINGS["en"] and "{" not in str(meta["alt"])
        assert set(meta["badges"]) <= {"learned", "exact"} != set()
    drawn = {name: figure(name, MOONS).layout.meta["said"]["points"] for name in ("law", "whole")}
    assert drawn == {"law": [str(CLOUDED)], "whole": [str(table()["n"])]}
