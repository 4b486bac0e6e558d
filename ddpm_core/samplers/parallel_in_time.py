"""The whole trajectory at once: guess it, ask the denoiser at every level in parallel, correct it, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, evaluations
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import ask_at_once, prepared
from ddpm_core.samplers.stepping import Noise, Step, final_step, in_range, strides_of
from ddpm_core.schedules import Schedule


class Sweep(NamedTuple):
    k: int  # sweeps so far; 0 is the guess
    x: Tensor  # [T + 1, n, ...] the trajectory, data first; the k nodes after T are exact, the rest converges
    x0: Tensor  # [T + 1, n, ...] the x0-hat it was made from, of the trajectory before; x itself at t = 0
    moved: Tensor  # [] root mean square change by this sweep, in variance-preserving coordinates
    nfe: int  # network evaluations so far; those of one sweep are independent of each other


def picard_sweeps(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, sweeps: int | None = None) -> Iterator[Sweep]:
    """Picard iteration on DDIM, for x_T [n, ...] (Shih et al. 2023, algorithm 1, with all of T for window).

    Sequential sampling computes x_{t-1} = DDIM(x_t, x0-hat(x_t)) node after node. Sweep k computes

        x^k_{t-1} = DDIM(x^k_t, x0-hat(x^{k-1}_t))    for t = T .. 1,

    with x0-hat at all levels in parallel, from the trajectory of the sweep before. After k sweeps the first k nodes are
    exactly those of `euler` and are not asked about again; after T sweeps all are, and usually nearly so much earlier.
    The guess stands still at x_T in variance-preserving coordinates. Iterating x0-hat rather than eps-hat makes each
    node the remaining noise plus a weighted mean of the x0-hats before it, in which the late ones count most.

    sweeps: 1 .. T, by default T. Yields the guess and the trajectory after every sweep. ValueError for another number.
    """
    count = schedule.T if sweeps is None else sweeps
    in_range("sweeps", count, 1, schedule.T)
    return _sweeps(prepared(denoiser, schedule.levels), schedule, x_T, count)


def _sweeps(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, count: int) -> Iterator[Sweep]:
    T, level, strides, scale = schedule.T, schedule.levels, strides_of(schedule), schedule.scale.tolist()
    xs = [s / scale[T] * x_T for s in scale[:-1]] + [x_T]
    x0s, nfe = list(xs), 0
    yield Sweep(0, torch.stack(xs), torch.stack(x0s), torch.full((), torch.inf, device=x_T.device), nfe)
    for k in range(1, count + 1):
        first = T + 1 - k  # the first node whose x0-hat may still change
        x0s[1 : first + 1] = [p.x0 for p in ask_at_once(denoiser, xs[1 : first + 1], level[1 : first + 1])]
        nfe += first * evaluations(denoiser)
        before, xs = xs, list(xs)
        for t in range(first, 0, -1):
            xs[t - 1] = strides[t - 1].ddim(Prediction.of(xs[t], *level[t], x0=x0s[t]))
        x0s[0] = xs[0]
        changes = [(new - old).square().mean() / s**2 for new, old, s in zip(xs, before, scale, strict=True)]
        yield Sweep(k, torch.stack(xs), torch.stack(x0s), torch.stack(changes).mean().sqrt(), nfe)


def paradigms(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, sweeps: int = 10, tolerance: float = 0.0
) -> Iterator[Step]:
    """Sampling parallel in time, ParaDiGMS (Shih et al. 2023): the trajectory of `euler`, by `picard_sweeps`.

    sweeps     at most, and at most T, after which the trajectory is exact. Each asks at up to T levels at once
    tolerance  stop when a sweep moves nodes by less, in standard deviations; with 0 all sweeps are made, and their
               number does not depend on the particles

    All evaluations come before the first Step. ValueError for sweeps below 1 or a tolerance outside 0 .. 1.
    """
    in_range("tolerance", tolerance, 0, 1)
    in_range("sweeps", sweeps, 1, float("inf"))
    return _paradigms(picard_sweeps(denoiser, schedule, x_T, sweeps=min(sweeps, schedule.T)), schedule, tolerance)


def _paradigms(iteration: Iterator[Sweep], schedule: Schedule, tolerance: float) -> Iterator[Step]:
    sweep = next(iteration)
    for sweep in iteration:
        if tolerance > 0 and sweep.moved < tolerance:
            break
    for t, level in list(enumerate(schedule.levels))[:0:-1]:
        yield Step(t, sweep.x[t], Prediction.of(sweep.x[t], *level, x0=sweep.x0[t]), sweep.nfe)
    yield final_step(sweep.x[0], sweep.nfe)
