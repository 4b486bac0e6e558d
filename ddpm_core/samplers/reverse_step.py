"""One step back, x_t -> x_{t-1}: the exact law, and the single Gaussian that DDPM uses instead.

The exact p(x_{t-1} | x_t) is a mixture, possibly wide and with many modes; q(x_{t-1} | x_t, x0) is one narrow Gaussian,
which DDPM uses with x0-hat for x0. The two agree when a step adds little noise. This is why T is large.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import Denoiser
from ddpm_core.schedules import Schedule

VARIANCES = ("beta", "beta_tilde")


class Estimate(NamedTuple):
    value: float
    error: float  # its standard error


def step_variances(schedule: Schedule) -> Tensor:
    """[T]: variance of q(x_t | x_{t-1}) for t = 1..T at index t - 1; beta_t where variance is preserved."""
    sigma = schedule.sigma
    kept = schedule.alpha[1:] / schedule.alpha[:-1] * sigma[:-1]
    return ((sigma[1:] - kept) * (sigma[1:] + kept)).clamp(min=0)


def posterior_coefficients(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Weights of x0 and of x_t in the mean of q(x_{t-1} | x_t, x0), t = 1..T; [T] each (Ho et al. 2020, eq. 7)."""
    alpha, sigma = schedule.alpha, schedule.sigma
    of_x0 = alpha[:-1] * step_variances(schedule) / sigma[1:] ** 2
    return of_x0, alpha[1:] / alpha[:-1] * (sigma[:-1] / sigma[1:]) ** 2


def reverse_variances(schedule: Schedule, variance: str) -> Tensor:
    """DDPM's choices for Var(x_{t-1} | x_t), t = 1..T; [T] (Ho et al. 2020, section 3.2).

    "beta" is the one-step noise of the chain; "beta_tilde" that of q(x_{t-1} | x_t, x0), 0 at t = 1. Else KeyError.
    """
    if variance not in VARIANCES:
        raise KeyError(f"unknown variance {variance!r}; known: {', '.join(VARIANCES)}")
    beta = step_variances(schedule)
    return beta if variance == "beta" else beta * (schedule.sigma[:-1] / schedule.sigma[1:]) ** 2


def exact_reverse(mixture: GaussianMixture, x: Tensor, schedule: Schedule, t: int) -> GaussianMixture:
    """The law of x_{t-1} given that x_t is the one point x [D]; ValueError unless t is in 1..T.

    x_t = ratio x_{t-1} + noise, so each component of the law of x_{t-1} gets a Kalman update and, as weight, the
    probability that x came from it. If alpha_t = 0, x_t carries no information and the law of x_{t-1} is unchanged.
    """
    ratio, std = schedule.transition(t - 1, t)
    before, now = (mixture.noised(*schedule.levels[i]) for i in (t - 1, t))
    x = x.to(torch.float64)
    offset = x - now.means  # [K, D]
    gain = ratio * before.variances / now.variances
    if before.axes is None:
        moved = gain * offset
    else:
        moved = torch.einsum("kij,kj->ki", before.axes, gain * torch.einsum("kij,ki->kj", before.axes, offset))
    return GaussianMixture._of(
        now.responsibilities(x[None])[0],
        before.means + moved,
        before.variances * std**2 / now.variances,
        before.axes,
        mixture.labels,
        mixture.scale,
        mixture.shift,
    )


def gaussian_reverse(
    denoiser: Denoiser, x: Tensor, schedule: Schedule, t: int, variance: str = "beta_tilde"
) -> tuple[Tensor, float]:
    """DDPM's law of x_{t-1} given x_t = x [n, D]: mean [n, D] and variance, the same along every axis.

    q(x_{t-1} | x_t, x0) with x0-hat for x0 (Ho et al. 2020, eq. 6 and 7). Raises KeyError for an unknown variance,
    ValueError unless t is in 1..T.
    """
    if not 1 <= t <= schedule.T:
        raise ValueError(f"need 1 <= t <= {schedule.T}, got t = {t}")
    of_x0, of_x = (part[t - 1].item() for part in posterior_coefficients(schedule))
    prediction = denoiser(x, *schedule.levels[t])
    return prediction.blend(of_x, of_x0), reverse_variances(schedule, variance)[t - 1].item()


def gaussian_misfit(
    exact: GaussianMixture, mean: Tensor, variance: float, *, n: int = 10_000, generator: torch.Generator
) -> Estimate:
    """KL(exact || N(mean, variance I)) in nats, mean [D], by Monte Carlo over n points.

    Below zero only by chance. The estimate averages a log-ratio, so if the two laws agree, its error vanishes too.
    ValueError for a Gaussian of zero variance (beta_tilde at t = 1), from which every law is infinitely far.
    """
    if not variance > 0:
        raise ValueError(f"the Gaussian needs a variance above 0, got {variance}")
    x = exact.sample(n, generator=generator)
    gaussian = GaussianMixture(1.0, mean[None], variance)
    ratio = torch.cat([exact.log_prob(part) - gaussian.log_prob(part) for part in x.split(2048)])
    return Estimate(ratio.mean().item(), (ratio.std() / n**0.5).item())


def principal_marginal(mixture: GaussianMixture) -> tuple[Tensor, GaussianMixture]:
    """The direction [D] in which a mixture is widest, and the law of x's component along it, one-dimensional."""
    axis = torch.linalg.eigh(mixture.covariance)[1][:, -1]
    variances = torch.einsum("i,kij,j->k", axis, mixture.covariances, axis)
    return axis, GaussianMixture(mixture.weights, mixture.means @ axis[:, None], variances, mixture.labels)


def count_modes(mixture: GaussianMixture, *, least: float = 0.01, fineness: int = 2001) -> int:
    """How many maxima the density has along the direction in which the mixture is widest (`principal_marginal`).

    Counted on a grid of `fineness` points over six standard deviations either way, without maxima lower than `least`
    times the highest, which nobody would see.
    """
    _, marginal = principal_marginal(mixture)
    reach = 6 * marginal.covariance[0, 0].sqrt()
    x = marginal.mean + torch.linspace(-1, 1, fineness, dtype=torch.float64)[:, None] * reach
    height = marginal.log_prob(x).exp()
    inner = height[1:-1]
    top = (inner > height[:-2]) & (inner >= height[2:]) & (inner >= least * height.max())
    return int(top.sum())
