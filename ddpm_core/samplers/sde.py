"""Samplers that may add fresh noise on the way: the chain walked backwards, and the flow with noise stirred in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, along
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.ode import heun_step
from ddpm_core.samplers.reverse_step import VARIANCES, posterior_coefficients, reverse_variances
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, arrived, in_range, levels, strides, walk
from ddpm_core.schedules import Schedule

DDPM_VARIANCES = (*VARIANCES, "optimal")


def ddpm(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, variance: str = "beta_tilde"
) -> Iterator[Step]:
    """Ancestral sampling from q(x_{t-1} | x_t, x0-hat) (Ho et al. 2020, eq. 6, 7 and algorithm 2), on any path.

    variance: "beta", the one-step noise of the chain; "beta_tilde", the posterior's; or "optimal", the true variance of
    x_{t-1} given x_t, beta_tilde + c^2 Var(x0 | x_t) with c the weight of x0 (Bao et al. 2022, theorem 1; there its
    mean over x_t, here each particle has its own). No noise at the last step.

    Raises KeyError for an unknown variance; ValueError for "optimal" of a denoiser that does not know Var(x0 | x_t):
    only exact ones do.
    """
    if variance not in DDPM_VARIANCES:
        raise KeyError(f"unknown variance {variance!r}; known: {', '.join(DDPM_VARIANCES)}")
    of_x0, of_x = (part.tolist() for part in posterior_coefficients(schedule))
    level = levels(schedule)
    if variance == "optimal" and not hasattr(denoiser, "posterior_variance"):
        raise ValueError('variance "optimal" needs an exact denoiser: no other knows Var(x0 | x_t)')
    known = reverse_variances(schedule, "beta_tilde" if variance == "optimal" else variance).tolist()

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        x, mean = prediction.x, prediction.blend(of_x[t - 1], of_x0[t - 1])
        if t == 1:
            return mean
        z = noise(t).to(x)
        if variance != "optimal":
            return mean.add_(z, alpha=math.sqrt(known[t - 1]))
        unknown = cast(Any, denoiser).posterior_variance(x, *level[t]).to(x)  # [n]
        return mean.addcmul_(z, (known[t - 1] + of_x0[t - 1] ** 2 * unknown).sqrt()[:, None])

    return walk(denoiser, schedule, x_T, update)


def ddim(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, eta: float = 0.0) -> Iterator[Step]:
    """Denoise, then noise again with partly old, partly fresh noise (Song et al. 2021, eq. 12 and 16).

    eta = 0 is deterministic and of order 1, eta = 1 is `ddpm` with beta_tilde on any stride. ValueError unless eta lies
    in 0 .. 1.
    """
    in_range("eta", eta, 0, 1)
    ways = strides(schedule)
    fresh = [eta * way.fresh for way in ways]
    lower = [
        Stride(way.here, (way.there[0], math.sqrt(way.there[1] ** 2 - f**2)))
        for way, f in zip(ways, fresh, strict=True)
    ]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        x = lower[t - 1].towards(prediction)
        return x.add_(noise(t).to(x), alpha=fresh[t - 1]) if fresh[t - 1] > 0 else x

    return walk(denoiser, schedule, x_T, update)


def euler_ancestral(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's step in EDM coordinates to less noise than wanted, then fresh noise up to it (Crowson 2022).

    With rho = sigma / alpha: down to rho_t^2 / rho_s, then up by rho_t sqrt(1 - (rho_t / rho_s)^2). The same law, and
    the same points, as `ddim` with eta = 1.
    """
    ways = strides(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        way = ways[t - 1]
        x = way.overshoot.towards(prediction)
        return x.add_(noise(t).to(x), alpha=way.fresh) if t > 1 else x

    return walk(denoiser, schedule, x_T, update)


def edm_stochastic(
    denoiser: Denoiser,
    schedule: Schedule,
    x_T: Tensor,
    *,
    noise: Noise,
    churn: float = 5.0,
    churn_min: float = 0.0,
    churn_max: float = math.inf,
    inflation: float = 1.0,
) -> Iterator[Step]:
    """Heun's method, with noise added before every step and removed by it (Karras et al. 2022, algorithm 2).

    churn      S_churn: sigma / alpha grows by the share min(churn / T, sqrt 2 - 1) before each step; 0 is `heun`
    churn_min, S_tmin and S_tmax: only where sigma / alpha lies between them
    churn_max
    inflation  S_noise: standard deviation of the noise that is added; slightly above 1 makes up for lost detail

    No noise before the step into data, where the paper still adds some, and so does diffusers, which churns in Euler's
    method only. The denoiser is asked about the churned points, so a Step holds x before the churn, and the x0-hat that
    is expected after it. ValueError for churn below 0, inflation outside 0 .. 2 or churn_min above churn_max.
    """
    in_range("churn", churn, 0, math.inf)
    in_range("inflation", inflation, 0, 2)
    if not 0 <= churn_min <= churn_max:
        raise ValueError(f"need 0 <= churn_min <= churn_max, got churn_min = {churn_min}, churn_max = {churn_max}")
    growth = 1 + min(churn / schedule.T, math.sqrt(2) - 1)

    def churned(t: int, way: Stride) -> Stride:
        alpha, sigma = way.here
        stir = t > 1 and alpha * churn_min <= sigma and (alpha == 0 or sigma <= alpha * churn_max)
        return Stride((alpha, sigma * growth), way.there) if stir else way

    ways = [churned(t, way) for t, way in enumerate(strides(schedule), 1)]
    return _churned_heun(denoiser, schedule, x_T, noise, ways, inflation)


def _churned_heun(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, noise: Noise, ways: list[Stride], inflation: float
) -> Iterator[Step]:
    ask, level = Counted(along(denoiser, schedule, [way.here for way in ways])), levels(schedule)
    for t in range(schedule.T, 0, -1):
        way = ways[t - 1]
        added = math.sqrt(way.here[1] ** 2 - level[t][1] ** 2)
        stirred = torch.add(x, noise(t).to(x), alpha=inflation * added) if added > 0 else x
        prediction = ask(stirred, *way.here)
        yield Step(t, x, Prediction.of(x, *level[t], x0=prediction.x0), ask.nfe)
        x = heun_step(ask, prediction, way)
    yield arrived(x, ask.nfe)


def langevin_pc(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, correction: float = 0.1
) -> Iterator[Step]:
    """Predict by the probability flow, correct by one move of Langevin dynamics (Song et al. 2021, algorithms 1 to 5).

    correction: its size h in units of sigma^2, x + h/2 score + sqrt(h) z, as in `langevin`; 4 r^2 for the paper's
    signal-to-noise ratio r. Theirs is measured on the whole batch; this one is what it is on average, so that no
    particle depends on the others. 0 leaves the predictor, `ddim`. ValueError unless it lies in 0 .. 2.
    """
    in_range("correction", correction, 0, 2)
    ways = strides(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        way = ways[t - 1]
        x = way.towards(prediction)
        if t == 1 or correction == 0:
            return x
        sigma = way.there[1]
        x = torch.add(x, ask(x, *way.there).eps, alpha=-sigma * correction / 2)
        return x.add_(noise(t).to(x), alpha=sigma * math.sqrt(correction))

    return walk(denoiser, schedule, x_T, update)
