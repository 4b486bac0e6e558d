"""The figures of Solvers: errors and distances over network evaluations."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

import plotly.graph_objects as go

from ddpm_core import (
    METRICS,
    SPACINGS,
    Denoiser,
    MixtureDenoiser,
    ParticleNoise,
    Schedule,
    local_errors,
    path_errors,
    sample,
    schedule_for_nfe,
)
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.exhibits.particles import denoiser_of
from ddpm_ui.exhibits.plots import captioned
from ddpm_ui.exhibits.solvers import plots
from ddpm_ui.exhibits.solvers.recipe import Solvers
from ddpm_ui.exhibits.solvers.stream import exact_places
from ddpm_ui.recipes import RACERS, SCHEDULE, mixture_of
from ddpm_ui.words import ASSETS

NFES = (5, 8, 12, 20, 32, 50, 80)
SEEDS = 3  # independent clouds behind every error bar
CLOUDED = 500  # particles in each
FEW = 150  # particles that are compared one by one with their exact paths
MEDIAN_STEPS = 32  # of these paths: the median is a hundred times as exact as the mean, which a few particles dominate


def _schedules(recipe: Solvers, name: str, nfes: tuple[int, ...] = NFES) -> dict[int, Schedule]:
    """nfe really used -> levels, without duplicates: several nfe may allow the same number of steps."""
    grids = (schedule_for_nfe(name, recipe.full_schedule, nfe, recipe.spacing) for nfe in nfes)
    price = TRAITS[name].per_step or 1
    return {price * (grid.T - 1) + 1: grid for grid in grids}


def _denoisers(recipe: Solvers) -> dict[str, Denoiser]:
    """The network of the recipe, and the exact denoiser."""
    exact: dict[str, Denoiser] = {"exact": MixtureDenoiser(mixture_of(recipe.data))}
    if recipe.denoiser == "exact":
        return exact
    return {"learned": denoiser_of(recipe.denoiser, recipe.data)} | exact


def strong(recipe: Solvers) -> go.Figure:
    """Distance of particles from their exact paths before the last step, over evaluations, with the fitted order.

    Also the error of the last step alone, from the exact places: for each of these solvers it is x0-hat.
    """
    noise, mixture = ParticleNoise(recipe.seed, FEW), mixture_of(recipe.data)
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for name in recipe.solvers:
        if TRAITS[name].stochastic:
            continue
        for meaning, denoiser in _denoisers(recipe).items():
            curves[name, meaning] = {}
            for nfe, grid in _schedules(recipe, name).items():
                exact = exact_places(recipe.data, recipe.seed, FEW, grid.levels[-1], grid.levels[1], MEDIAN_STEPS)
                curves[name, meaning][nfe] = path_errors(name, denoiser, grid, noise, exact).median().item()
    orders = {name: TRAITS[name].order for name in recipe.solvers}
    level = schedule_for_nfe("ddim", recipe.full_schedule, NFES[-1], recipe.spacing).levels
    near, end = (exact_places(recipe.data, recipe.seed, FEW, level[-1], level[t], MEDIAN_STEPS) for t in (1, 0))
    last = (MixtureDenoiser(mixture)(near, *level[1]).x0 - end).norm(dim=-1).median().item()
    return plots.strong_errors(curves, orders, last, recipe.solvers)


def law(recipe: Solvers) -> go.Figure:
    """Distance of the samples to the data over evaluations, with the range of equally many perfect samples."""
    measure, mixture = METRICS[recipe.metric].measure, mixture_of(recipe.data)
    noise, curves = ParticleNoise(recipe.seed, SEEDS * CLOUDED), {}
    for name in recipe.solvers:
        for meaning, denoiser in _denoisers(recipe).items():
            main = meaning != "exact" or recipe.denoiser == "exact"  # beside a network, fewer samples suffice
            mine = noise if main else ParticleNoise(recipe.seed, CLOUDED)
            curve = {}
            for nfe, grid in _schedules(recipe, name, NFES if main else NFES[::3]).items():
                clouds = sample(name, denoiser, grid, mine).x.view(-1, CLOUDED, 2)
                curve[nfe] = [measure(cloud, mixture) for cloud in clouds]
            curves[name, meaning] = curve
    return plots.law_errors(curves, METRICS[recipe.metric], recipe.metric, recipe.solvers)


def steps(recipe: Solvers) -> go.Figure:
    """Where each spacing puts the levels on the lam axis, and the error of the steps between them."""
    noise, mixture, rows = ParticleNoise(recipe.seed, FEW), mixture_of(recipe.data), {}
    for spacing in SPACINGS:
        grid = schedule_for_nfe(recipe.stepper, recipe.full_schedule, recipe.nfe, spacing)
        rows[spacing] = grid.lam[1:].flip(0).tolist(), local_errors(recipe.stepper, mixture, grid, noise).tolist()
    return plots.local_errors(rows, recipe.stepper, recipe.nfe)


@lru_cache(maxsize=1)
def table() -> dict:
    """The table made by `python -m benchmarks.solver_table`: every solver, every data set, both denoisers."""
    return json.loads((ASSETS / "solver_table.json").read_text(encoding="utf-8"))


def _strains(recipe: Solvers) -> dict[str, plots.Strains]:
    """meaning -> solver -> metric of PANEL -> strain at each nfe; None for a solver that was not computed yet.

    The strain is the distance from the middle of the range of perfect samples, in units of half its width: at most 1
    inside. Empty for users' own data.
    """
    found = table()["data"].get(recipe.data, {"limits": {}, "rows": {}})

    def strain(metric: str, values: list[float]) -> list[float]:
        low, high = found["limits"][metric]
        return [abs(2 * value - low - high) / (high - low) for value in values]

    return {
        meaning: {
            name: {metric: strain(metric, values) for metric, values in rows[name].items()} if name in rows else None
            for name in RACERS
        }
        for meaning, rows in found["rows"].items()
    }


def enough(recipe: Solvers) -> go.Figure:
    """The number of evaluations from which on each solver is as good as perfect samples, by every metric of PANEL."""
    return plots.enough(_strains(recipe), table()["nfe"])


def whole(recipe: Solvers) -> go.Figure:
    """The largest strain of any metric of PANEL, of every solver at every number of evaluations."""
    return plots.solver_table(_strains(recipe).get("learned", {}), table()["nfe"])


LEVELS = (*SCHEDULE, "sigma_min", "sigma_max", "spacing")
# Each figure; whether it shows a network, the exact denoiser, or both; the fields of the recipe that it depends on.
FIGURES: dict[str, tuple[Callable[[Solvers], go.Figure], tuple[str, ...], tuple[str, ...]]] = {
    "strong": (strong, ("learned", "exact"), ("data", "denoiser", *LEVELS, "seed", "solvers")),
    "law": (law, ("learned", "exact"), ("data", "denoiser", *LEVELS, "seed", "solvers", "metric")),
    "steps": (steps, ("exact",), ("data", *LEVELS, "nfe", "seed", "stepper")),
    "enough": (enough, ("learned", "exact"), ("data",)),
    "whole": (whole, ("learned",), ("data",)),
}


def figure(name: str, recipe: Solvers) -> go.Figure:
    """One of FIGURES, with its caption."""
    draw, badges, _ = FIGURES[name]
    n = {"strong": FEW, "law": CLOUDED, "steps": FEW}.get(name) or table()["n"]
    if recipe.denoiser == "exact" and name in ("strong", "law"):
        badges = ("exact",)
    made = draw(recipe)
    return captioned(made, name, badges, said=made.layout.meta.get("said", {}) | {"points": [str(n)]})
