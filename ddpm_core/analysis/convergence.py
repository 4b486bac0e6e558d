"""Convergence: solvers at equal cost, the order of their error, and the error of each single step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import Denoiser, MixtureDenoiser
from ddpm_core.samplers.exact_flow import exact_flow_between
from ddpm_core.samplers.registry import SAMPLERS, TRAITS, ParticleNoise, steps_for
from ddpm_core.schedules import Schedule


def schedule_for_nfe(name: str, schedule: Schedule, nfe: int, spacing: str = "trailing") -> Schedule:
    """As many levels of `schedule`, chosen by `spacing`, as SAMPLERS[name] can walk with `nfe` network evaluations.

    ValueError if its evaluations are not a fixed number per step, or if `nfe` is too small for one step.
    """
    return schedule.subsample(min(steps_for(name, nfe), schedule.T), spacing)


def path_errors(name: str, denoiser: Denoiser, schedule: Schedule, noise: ParticleNoise, exact: Tensor) -> Tensor:
    """Distance of each particle from its exact path before the last step, [n], in standard deviations of the data.

    exact [n, D]: where exact_flow_between carries schedule.scale[-1] * noise.start() to the level t = 1. The last
    step, from there into data, leads to x0-hat whatever the sampler and is of no order, so it would hide the others'.
    The median over particles shows the order; the mean is dominated by the few that start where the flow divides.
    """
    steps = SAMPLERS[name](denoiser, schedule, schedule.scale[-1].item() * noise.start(), noise=noise)
    step = next(step for step in steps if step.t == 1)
    return (step.x - exact).norm(dim=-1) / schedule.scale[1]


def fitted_order(nfe: Sequence[float], error: Sequence[float]) -> float:
    """p of error ~ nfe^-p, by least squares in logarithms."""
    return -float(np.polyfit(np.log(nfe), np.log(error), 1)[0])


def local_errors(name: str, mixture: GaussianMixture, schedule: Schedule, noise: ParticleNoise) -> Tensor:
    """Local error of each step t -> t - 1 of a solver with the exact denoiser, [T] for t = T .. 1.

    The root-mean-square distance, over particles, between the solver's x_{t-1} and where the exact flow goes from the
    solver's x_t, in variance-preserving coordinates and standard deviations of the data (Hairer, Norsett & Wanner 1993,
    II.3). ValueError for a sampler with fresh noise, which follows no flow.
    """
    if TRAITS[name].stochastic:
        raise ValueError(f"{name} adds fresh noise: its steps have no local error")
    x_T, level = schedule.scale[-1] * noise.start().double(), schedule.levels
    errors = []
    for before, after in pairwise(SAMPLERS[name](MixtureDenoiser(mixture), schedule, x_T, noise=noise)):
        exact = exact_flow_between(mixture, before.x, level[before.t], level[after.t], steps=8)
        distance = (after.x - exact).norm(dim=-1) / schedule.scale[after.t]
        errors.append(distance.square().mean().sqrt())
    return torch.stack(errors)
