"""The variational bound on -log p(x0), term by term, in nats (Ho et al. 2020, eq. 5): what DDPM says it minimises.

-E log p(x0) <= L_T + L_{T-1} + ... + L_1 + L_0 for x0 from the data, where

    L_T      KL(q(x_T | x0) || prior)                           what is left of the data in the noise
    L_{t-1}  KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t))       one step back, t = 2..T
    L_0      -log p(x0 | x_1)                                   the last step, a Gaussian density: data are continuous

All Gaussians share their axes, so every term is affine in one number, E|x0 - x0-hat(x_t)|^2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prepared import prepared
from ddpm_core.samplers.reverse_step import posterior_coefficients, reverse_variances
from ddpm_core.schedules import Schedule


class Bound(NamedTuple):
    """In nats per point, not per coordinate. Errors are standard errors; L_T is exact."""

    L_T: float
    L: Tensor  # [T - 1], L_{t-1} for t = 2..T
    L_0: float
    total: float  # at least the entropy of the data, up to its standard error
    L_error: Tensor  # [T - 1]
    L_0_error: float
    total_error: float


def squared_errors(
    denoiser: Denoiser, mixture: GaussianMixture, schedule: Schedule, *, n: int = 32, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """E|x0 - x0-hat(x_t)|^2, summed over coordinates, and its standard error, t = 1..T; [T] float64 each.

    n fresh points at each level. The error is the sum of what no denoiser can know and what this one gets wrong,
    E tr Cov(x0 | x_t) + E|E[x0 | x_t] - x0-hat|^2. Both depend on x_t only, so the variance of the estimate is far
    smaller than with x0 itself. The denoiser is asked in float32.
    """
    denoiser, D, shape = prepared(denoiser, schedule.levels), mixture.D, (schedule.T, n, mixture.D)
    x0 = mixture.sample(schedule.T * n, generator=generator).view(shape)
    eps = torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device).cpu()
    means, errors = [], []
    for t, (alpha, sigma) in enumerate(schedule.levels[1:]):
        x = alpha * x0[t] + sigma * eps[t]
        wrong = mixture.denoise(x.float(), alpha, sigma) - denoiser(x.float(), alpha, sigma).x0
        squared = D * mixture.posterior_variance(x, alpha, sigma) + wrong.square().sum(-1)  # [n]
        means.append(squared.mean())
        errors.append(squared.std() / n**0.5)
    return torch.stack(means), torch.stack(errors)


def variational_bound(
    denoiser: Denoiser,
    mixture: GaussianMixture,
    schedule: Schedule,
    *,
    variance: str | Tensor = "beta_tilde",
    n: int = 32,
    generator: torch.Generator,
) -> Bound:
    """The bound for data from `mixture` and p(x_{t-1} | x_t) with this denoiser's mean (Ho et al. 2020, eq. 5 to 8).

    variance: "beta", "beta_tilde", or the variances themselves, [T], above 0, for t = 1..T at index t - 1. beta_tilde
    is 0 at t = 1, which would make the density at x0-hat infinite; L_0 uses that of t = 2 instead (Nichol & Dhariwal
    2021). The prior is what samplers start from, N(0, (alpha_T^2 + sigma_T^2) I). n points a term.
    Raises KeyError for an unknown variance, ValueError for impossible ones and for beta_tilde of a single step.
    """
    truth = reverse_variances(schedule, "beta_tilde")  # [T], of q(x_{t-1} | x_t, x0)
    p = reverse_variances(schedule, variance).clone() if isinstance(variance, str) else variance.to(torch.float64)
    if isinstance(variance, str) and variance == "beta_tilde":
        if schedule.T == 1:
            raise ValueError("beta_tilde of a single step is 0: no density, no bound")
        p[0] = p[1]
    if p.shape != (schedule.T,) or not (p > 0).all():
        raise ValueError(f"need {schedule.T} variances above 0, got {tuple(p.shape)} from {p.min():.3g}")
    D, of_x0 = mixture.D, posterior_coefficients(schedule)[0]  # at t = 1, exactly 1: the mean is x0-hat

    left = schedule.alpha_bar[-1].item()
    second_moment = (mixture.covariance.trace() + mixture.mean.square().sum()).item()  # E|x0|^2
    prior = 0.5 * (left * second_moment - D * left - D * math.log1p(-left))

    slope = of_x0**2 / (2 * p)
    error, chance = (slope * part for part in squared_errors(denoiser, mixture, schedule, n=n, generator=generator))
    ratio = truth[1:] / p[1:]
    L = error[1:] + 0.5 * D * (ratio - 1 - ratio.log())
    last = error[0].item() + 0.5 * D * math.log(2 * math.pi * p[0])
    return Bound(
        L_T=prior,
        L=L,
        L_0=last,
        total=prior + L.sum().item() + last,
        L_error=chance[1:],
        L_0_error=chance[0].item(),
        total_error=chance.square().sum().sqrt().item(),
    )
