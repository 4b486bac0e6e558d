"""The streams of Solvers: each racer, and the sweeps of a sampler that is parallel in time."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import lru_cache, partial

import torch
from torch import Tensor

from ddpm_core import (
    SAMPLERS,
    GaussianMixture,
    ParticleNoise,
    bootstrap_interval,
    exact_flow_between,
    excess_nll,
    permutation_band,
    precision,
    recall,
    sliced_w2,
    strong_error,
)
from ddpm_core.samplers.parallel_in_time import picard_sweeps
from ddpm_core.samplers.registry import TRAITS
from ddpm_core.schedules import NoiseLevel
from ddpm_ui.exhibits.particles import (
    CLOUD_SIZE,
    badge,
    denoiser_of,
    destination_colours,
    measured,
    title,
)
from ddpm_ui.exhibits.solvers.recipe import Racer, Solvers
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import wire
from ddpm_ui.server.wire import PAUSE, Axis, json_chunk

SWEEPS = Axis("sweep", 0, ("first_guess", "converged"))  # at most one for each step
FOLLOWED = 300  # particles that are compared with the exact flow, which costs 256 exact evaluations of each
LIVE = 1000  # particles behind the distance at every step, and behind precision and recall
NEIGHBOURS = 5  # of precision and recall, which need more points than that
TESTED = 500  # particles that the permutation test divides


@lru_cache(maxsize=128)
def exact_places(
    data: str, seed: int, n: int, here: NoiseLevel, there: NoiseLevel = (1.0, 0.0), steps: int = 64
) -> Tensor:
    """Where the exact flow carries the particles' noise from one level to another; [n, 2] float64, as `exact_flow`."""
    start = math.hypot(*here) * ParticleNoise(seed, n).start()
    return exact_flow_between(mixture_of(data), start, here, there, steps=steps)


def _with_interval(x: Tensor, mixture: GaussianMixture) -> dict:
    """Excess NLL with its bootstrap interval, the variation due to the choice of particles."""
    interval = bootstrap_interval(excess_nll, x, mixture, generator=torch.Generator().manual_seed(0))
    return excess_nll(x, mixture)._asdict() | {"interval": list(interval)}


def _with_test(x: Tensor, truth: Tensor, mixture: GaussianMixture) -> dict:
    """Sliced W2 with a permutation test against points of the data."""
    few, true = x[:TESTED], truth[:TESTED]
    band = permutation_band(sliced_w2, few, true, repeats=99, generator=torch.Generator().manual_seed(0))
    return sliced_w2(x, mixture)._asdict() | {"p": band.p}


def race(recipe: Racer) -> Generator[bytes, None, None]:
    """One solver's run, on the clock that all solvers of a race share: network evaluations left."""
    schedule, mixture = recipe.walked(), mixture_of(recipe.data)
    denoiser, noise = denoiser_of(recipe.denoiser, recipe.data), ParticleNoise(recipe.seed, recipe.n)
    truth = mixture.sample(recipe.n, generator=torch.Generator().manual_seed(recipe.seed))
    price = TRAITS[recipe.sampler].per_step or 1
    times = [recipe.nfe - price * (schedule.T - t) for t in range(schedule.T, 0, -1)] + [0]  # from noise to data
    here = [sum(left >= k for left in times) - 1 for k in range(recipe.nfe + 1)]  # step reached with k left
    level = torch.stack([schedule.alpha, schedule.sigma]).flip(1)[:, here].tolist()
    yield wire.header(
        Axis("evaluations_left", recipe.nfe), n=recipe.n, mode="frames", direction="reverse", layers=["x", "x0"],
        times=times, badge=badge(recipe.denoiser), data=min(recipe.n, CLOUD_SIZE),
        title=[f"choice_{recipe.sampler}"], alpha=level[0], sigma=level[1],
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, recipe.n)
    yield wire.cloud(truth[:CLOUD_SIZE])
    x_T, visited = schedule.scale[-1].item() * noise.start(), []
    for left, step in zip(times, SAMPLERS[recipe.sampler](denoiser, schedule, x_T, noise=noise), strict=True):
        x = step.x / schedule.scale[step.t].item()
        visited.append(x)
        yield wire.frame(left, step.nfe, x, step.prediction.x0)
    yield PAUSE  # all solvers run first, then all are measured
    x0, eps = truth[:LIVE], ParticleNoise(recipe.seed + 1, min(LIVE, recipe.n)).start()
    distances = []
    for t, x in zip(range(schedule.T, -1, -1), visited, strict=True):
        true = schedule.jump(x0, t, eps) / schedule.scale[t]
        distances.append(sliced_w2.value(x[:LIVE], true, projections=24))
        yield b""  # Stop can take effect here
    yield json_chunk({"series": {"name": "distance_now", "value": distances}})
    measures = [
        ("excess_nll", "nats", lambda: _with_interval(x, mixture)),
        ("sliced_w2", "", lambda: _with_test(x, truth, mixture)),
    ]
    if recipe.n > NEIGHBOURS:
        measures += [
            ("precision", "", lambda: {"value": precision.value(x[:LIVE], truth[:LIVE], k=NEIGHBOURS)}),
            ("recall", "", lambda: {"value": recall.value(x[:LIVE], truth[:LIVE], k=NEIGHBOURS)}),
        ]
    if not TRAITS[recipe.sampler].stochastic:
        few = min(recipe.n, FOLLOWED)
        ends = partial(exact_places, recipe.data, recipe.seed, few, schedule.levels[-1])
        measures.append(("strong_error", "", lambda: strong_error(x[:few], ends())._asdict()))
    yield from measured(measures)
    yield json_chunk({"done": True})


PARALLEL_T, MAX_SWEEPS, SWEPT = 24, 24, 600


def sweeps(recipe: Solvers) -> Generator[bytes, None, None]:
    """Whole trajectories, one per sweep: a Picard iteration that converges from the noise end."""
    mixture, noise = mixture_of(recipe.data), ParticleNoise(recipe.seed, SWEPT)
    schedule = recipe.full_schedule.subsample(min(PARALLEL_T, recipe.T), recipe.spacing)
    truth = mixture.sample(CLOUD_SIZE, generator=torch.Generator().manual_seed(recipe.seed))
    yield wire.header(
        Axis("t", schedule.T), levels=schedule, shots=SWEEPS._replace(last=schedule.T), n=SWEPT,
        mode="shots", direction="forward", layers=["x"], times=list(range(schedule.T + 1)),
        badge=badge(recipe.denoiser), data=len(truth), title=title(recipe, "choice_paradigms"),
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, SWEPT)
    yield wire.cloud(truth)
    x_T = schedule.scale[-1].item() * noise.start()
    moved, asked = [], []
    for sweep in picard_sweeps(denoiser_of(recipe.denoiser, recipe.data), schedule, x_T):
        moved.append(sweep.moved.item() if sweep.k else None)  # the initial guess has no predecessor
        asked.append(sweep.nfe)
        yield json_chunk({"per_shot": [{"name": "moved", "value": moved}, {"name": "asked", "value": asked}]})
        yield wire.shot(sweep.k, sweep.x / schedule.scale[:, None, None])
    yield json_chunk({"done": True})
