"""What the tab of the solvers shows: the race, errors over evaluations, single steps, sweeps, and the table."""

import re

import numpy as np
import pytest
import torch

from benchmarks import solver_table
from ddpm_core import DATASETS, SAMPLERS, MixtureDenoiser, ParticleNoise, load_checkpoint, sample
from ddpm_core.data.own_data import encode
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.exhibits.solvers.figures import CLOUDED, FIGURES, figure, perfect_band, table
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Racer, Solvers
from ddpm_ui.exhibits.solvers.stream import race, sweeps
from ddpm_ui.recipes import RACERS
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
    low, high = perfect_band("two_moons", "sliced_w2", 500)
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
            assert all(len(values) == len(table()["nfe"]) for values in rows.values())
        assert found["limit"] > 0


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
    stored = table()["data"][data]["rows"]["learned"][name][:2]
    found = solver_table.means(name, load_checkpoint(data), data, table()["seeds"], table()["nfe"][:2])
    assert found == pytest.approx(stored, rel=0.02)


def test_enough_is_the_first_in_the_table_that_perfect_samples_could_be():
    rows, limit, nfe = table()["data"]["heart"]["rows"], table()["data"]["heart"]["limit"], table()["nfe"]
    made = figure("enough", Solvers(data="heart"))
    names = [text.removeprefix("choice_") for text in made.layout.yaxis.ticktext]
    for trace, meaning in zip(made.data, rows, strict=True):
        for x, symbol, name in zip(trace.x, trace.marker.symbol, names, strict=True):
            good = [n for n, value in zip(nfe, rows[meaning][name], strict=True) if value <= limit]
            assert (x == good[0]) if good else (x > nfe[-1] and symbol == "circle-open")


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
