"""The whole trajectory at once: guess it, ask the denoiser everywhere, mend it, again and again."""

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
    x: Tensor  # [T + 1, n, ...] the trajectory, data first; the k nodes after T are exact, the rest is on its way
    x0: Tensor  # [T + 1, n, ...] what it was made from: x0-hat at the nodes of the trajectory before; x itself at t = 0
    moved: Tensor  # [] root mean square of what the sweep changed, in variance-preserving coordinates
    nfe: int  # network evaluations so far; those of one sweep need not wait for one another


def picard_sweeps(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, sweeps: int | None = None) -> Iterator[Sweep]:
    """Picard iteration on DDIM, for x_T [n, ...] (Shih et al. 2023, algorithm 1, with all of T for window).

    Sequential sampling finds x_{t-1} = DDIM(x_t, x0-hat(x_t)) node after node. A sweep takes x0-hat from the
    trajectory of the sweep before, at all levels in parallel, and then only adds up. After k sweeps the first k nodes
    are those of `euler`, exactly, and are not asked about again; after T all are, and mostly much earlier all but so.
    The guess stands still at x_T in variance-preserving coordinates. What is iterated is x0-hat, not eps-hat, so that
    each node is the noise that is left and a weighted mean of the x0-hats before it, the late ones weighing most.

    sweeps: 1 .. T, by default T. Yields the guess, and the trajectory after every sweep. ValueError for another number.
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
        first = T + 1 - k  # the first node whose x0-hat is not known for good
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

    sweeps     at most; no more than T, after which nothing is left to mend. Each asks at up to T levels at once
    tolerance  stop when a sweep moves nodes by less, in standard deviations; 0 makes all sweeps, and decides nothing
               by what the particles do

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
