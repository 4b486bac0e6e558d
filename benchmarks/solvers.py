"""Samplers with few evaluations: speed, quality, order, and the share of time spent outside the network."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

from benchmarks.row import Row, medians
from ddpm_core import (
    DATASETS,
    SAMPLERS,
    GaussianMixture,
    MixtureDenoiser,
    ParticleNoise,
    Schedule,
    exact_flow_between,
    excess_nll,
    fitted_order,
    load_checkpoint,
    sample,
    sliced_w2,
)
from ddpm_core.samplers.registry import TRAITS, steps_for
from ddpm_core.schedules import even_in_lam, karras, linear

N = 2_000  # points, wherever time is measured
RACE = ("ddpm", "ddim", "heun", "dpmpp_2m", "unipc_2", "dpmpp_2m_sde")
ORDERS = ("ddim", "heun", "dpmpp_2m", "unipc_2", "dpmpp_3m", "deis")  # on a Gaussian; "unipc_2" at least 2.8
STEEP = ("heun", "dpm_solver_2", "dpmpp_2m", "adams_bashforth")  # on a mixture
NFES = (40, 80, 160, 320)
LAM = (-5.0, 2.5)  # range in which orders are measured
OVERHEAD = ("ddim", "dpmpp_2m", "unipc_2", "ddpm")

SAMPLES, SEEDS = 10_000, 3  # samples behind each distance; seeds of which the median is taken
BEST = "deis"
ROLL = DATASETS["swiss_roll"]()


def best_levels(T: int) -> Schedule:
    """From noise that hides the data to noise that does not blur the roll; see docs/LOG.md."""
    return karras(T, sigma_min=0.03, sigma_max=5.0)


# ---- speed ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def diffusers_sample(net: Any, x: Tensor, steps: int) -> Tensor:
    """Diffusers' DPM-Solver++(2M) on linear betas with our network."""
    scheduler = DPMSolverMultistepScheduler(
        1000, 1e-4, 0.02, "linear", prediction_type="v_prediction", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(steps)
    lam = -scheduler.sigmas.log()
    for t, noise_level in zip(scheduler.timesteps, lam, strict=False):
        x = scheduler.step(net(x, noise_level), t, x).prev_sample
    return x


def speed() -> Iterator[Row]:
    denoiser, noise, full = load_checkpoint("swiss_roll"), ParticleNoise(0, N), linear(1000)
    few = full.subsample(20)

    def walk(name: str, schedule: Schedule) -> Callable[[], object]:
        return lambda: deque(SAMPLERS[name](denoiser, schedule, noise.start(), noise=noise), maxlen=1)

    seconds = medians({"few": walk("dpmpp_2m", few), "many": walk("ddpm", full)}, 5)
    ratio, what = seconds["many"] / seconds["few"], f"20 evaluations of {N} points, dpmpp_2m"
    many = f"1000 DDPM steps: {seconds['many']:.2f} s"
    yield Row(what, f"{seconds['few'] * 1e3:.0f} ms", many, f"{ratio:.0f} x", "≥ 30 x", ratio >= 30)

    theirs = lambda: diffusers_sample(denoiser.net, noise.start(), 20)  # noqa: E731
    seconds = medians({"ours": walk("dpmpp_2m", few), "theirs": theirs}, 51)
    ratio = seconds["theirs"] / seconds["ours"]
    against = f"diffusers' scheduler, our network: {seconds['theirs'] * 1e3:.0f} ms"
    yield Row(what, f"{seconds['ours'] * 1e3:.0f} ms", against, f"{ratio:.1f} x", "≥ 1 x", ratio >= 1)

    runs = [walk(name, full.subsample(steps_for(name, 20))) for name in RACE]
    race = medians({"race": lambda: [run() for run in runs]}, 15)["race"]
    yield Row(f"race of {len(RACE)} solvers, 20 evaluations, {N} points", f"{race:.2f} s", "", "", "< 1 s", race < 1)


# ---- quality -------------------------------------------------------------------------------------------------------


def quality() -> Iterator[Row]:
    """The shipped network with the best solver; for comparison the exact denoiser, one seed."""
    network, exact = load_checkpoint("swiss_roll"), MixtureDenoiser(ROLL)

    def samples(denoiser, nfe: int, seed: int) -> Tensor:
        return sample(BEST, denoiser, best_levels(nfe), ParticleNoise(seed, SAMPLES)).x

    for nfe, bar in {20: 0.10, 10: 0.30}.items():
        nats = statistics.median(excess_nll(samples(network, nfe, seed), ROLL).value for seed in range(SEEDS))
        against = f"exact denoiser {excess_nll(samples(exact, nfe, 0), ROLL).value:+.3f}"
        what = f"excess NLL, swiss_roll, {BEST}, {nfe} evaluations, n = {SAMPLES}"
        yield Row(what, f"{nats:+.3f} nats", against, "", f"± {bar:.2f}", abs(nats) <= bar)
    runs = [sliced_w2(samples(network, 12, seed), ROLL) for seed in range(SEEDS)]
    value, floor = statistics.median(run.value for run in runs), runs[0].floor
    what = f"sliced W2, swiss_roll, {BEST}, 12 evaluations, n = {SAMPLES}"
    yield Row(what, f"{value:.4f}", f"floor {floor:.4f}", f"{value / floor:.2f}", "≤ 1.5", value <= 1.5 * floor)


# ---- order ---------------------------------------------------------------------------------------------------------


def largest_error(name: str, mixture: GaussianMixture, nfe: int, n: int = 60) -> float:
    """Largest root-mean-square distance to the exact flow over the levels above data."""
    schedule, noise = even_in_lam(steps_for(name, nfe), *LAM), ParticleNoise(0, n)
    level, worst = schedule.levels, 0.0
    exact = noise.start().double()
    for here, there in pairwise(SAMPLERS[name](MixtureDenoiser(mixture), schedule, exact, noise=noise)):
        if there.t > 0:
            exact = exact_flow_between(mixture, exact, level[here.t], level[there.t], steps=4)
            worst = max(worst, (there.x - exact).square().mean().sqrt().item())
    return worst


def orders() -> Iterator[Row]:
    gaussian = GaussianMixture(1.0, [[0.6, -0.3]], [[[0.5, 0.3], [0.3, 0.4]]])
    for name in ORDERS:
        promised = TRAITS[name].order
        assert promised
        order = fitted_order(NFES, [largest_error(name, gaussian, nfe) for nfe in NFES])
        bar, met = f"{promised} ± 0.1", abs(order - promised) <= 0.1
        if name == "unipc_2":
            bar, met = "≥ 2.8", order >= 2.8
        what = f"order of {name}, Gaussian, {NFES[0]} .. {NFES[-1]} evaluations"
        yield Row(what, f"{order:.2f}", f"theory {promised}", "", bar, met)
    eight = DATASETS["eight_gaussians"]()
    for name in STEEP:
        order = fitted_order(NFES[-2:], [largest_error(name, eight, nfe) for nfe in NFES[-2:]])
        what = f"order of {name}, eight Gaussians, {NFES[-2]} .. {NFES[-1]} evaluations"
        yield Row(what, f"{order:.2f}", f"theory {TRAITS[name].order}", "", "> 1.7", order > 1.7)


# ---- time outside the network --------------------------------------------------------------------------------------


class Clocked:
    """A function that records the duration of its last call in seconds."""

    def __init__(self, function: Callable):
        self.function, self.seconds = function, 0.0

    def __call__(self, *args):
        start = time.perf_counter()
        value = self.function(*args)
        self.seconds = time.perf_counter() - start
        return value


def overhead(name: str, repeats: int = 8) -> tuple[float, float, float]:
    """Seconds per step spent in the network, in drawing noise, and elsewhere; medians over steps."""
    denoiser = load_checkpoint("swiss_roll")
    denoiser.net.at = network = Clocked(denoiser.net.at)
    plain = ParticleNoise(0, N)
    noise, steps = Clocked(plain), []
    for _ in range(repeats):
        walk = SAMPLERS[name](denoiser, linear(1000).subsample(100), plain.start(), noise=noise)
        next(walk)
        while True:
            start = time.perf_counter()
            step = next(walk)
            whole = time.perf_counter() - start
            if step.t == 0:
                break
            steps.append((network.seconds, noise.seconds, whole - network.seconds - noise.seconds))
    inside, drawn, rest = map(statistics.median, zip(*steps, strict=True))
    return inside, drawn, rest


def overheads() -> Iterator[Row]:
    for name in OVERHEAD:
        network, drawn, rest = overhead(name)
        share = (drawn + rest) / (network + drawn + rest)
        against = f"network {network * 1e6:.0f} µs" + (f", noise {drawn * 1e6:.0f} µs" if drawn else "")
        what = f"share of a step outside the network, {name}, {N} points"
        yield Row(what, f"{share:.0%}", against, f"rest {rest * 1e6:.0f} µs", "≤ 15 %", share <= 0.15)


def rows() -> Iterator[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the lab does
    for part in (speed, quality, orders, overheads):
        yield from part()
    torch.set_num_threads(threads)
