"""Samplers that may add fresh noise on the way: the chain walked backwards, and the flow with noise stirred in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import prepared
from ddpm_core.samplers.ode import heun_step
from ddpm_core.samplers.reverse_step import VARIANCES, posterior_coefficients, reverse_variances
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, final_step, in_range, strides_of, walk_levels
from ddpm_core.schedules import Schedule

DDPM_VARIANCES = (*VARIANCES, "optimal")


def ddpm(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, variance: str = "beta_tilde"
) -> Iterator[Step]:
    """Ancestral sampling, on any path (Ho et al. 2020, algorithm 2; eq. 6 and 7 with x0-hat for x0):

        x_{t-1} = mean of q(x_{t-1} | x_t, x0-hat) + sqrt(variance_t) z,    no noise at the last step.

    variance: "beta", the one-step noise of the chain; "beta_tilde", the posterior's; or "optimal", the true variance of
    x_{t-1} given x_t, beta_tilde + c^2 Var(x0 | x_t) with c the weight of x0 in the mean (Bao et al. 2022, theorem 1;
    averaged over x_t there, particle by particle here).

    Raises KeyError for an unknown variance; ValueError for "optimal" with a denoiser that does not know Var(x0 | x_t):
    only exact ones do.
    """
    if variance not in DDPM_VARIANCES:
        raise KeyError(f"unknown variance {variance!r}; known: {', '.join(DDPM_VARIANCES)}")
    if variance == "optimal" and not hasattr(denoiser, "posterior_variance"):
        raise ValueError('variance "optimal" needs an exact denoiser: no other knows Var(x0 | x_t)')
    of_x0, of_x = (weights.tolist() for weights in posterior_coefficients(schedule))
    known = reverse_variances(schedule, "beta_tilde" if variance == "optimal" else variance).tolist()

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        mean = prediction.blend(of_x[t - 1], of_x0[t - 1])
        if t == 1:
            return mean
        x = prediction.x
        z = noise(t).to(x)
        if variance != "optimal":
            return mean.add_(z, alpha=math.sqrt(known[t - 1]))
        unknown = cast(Any, denoiser).posterior_variance(x, *schedule.levels[t]).to(x)  # [n]
        return mean.addcmul_(z, (known[t - 1] + of_x0[t - 1] ** 2 * unknown).sqrt()[:, None])

    return walk_levels(denoiser, schedule, x_T, update)


def ddim(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, eta: float = 0.0) -> Iterator[Step]:
    """Denoise, then noise again, partly with the old noise and partly with fresh noise (Song et al. 2021, eq. 12):

        x_{t-1} = alpha_{t-1} x0-hat + sqrt(sigma_{t-1}^2 - s_t^2) eps-hat + s_t z

    with s_t = eta sigma_up, eq. 16. The first two terms are the stride to the noise sqrt(sigma_{t-1}^2 - s_t^2), since
    eps-hat = (x_t - alpha_t x0-hat) / sigma_t.

    eta = 0 is deterministic and of order 1; eta = 1 is `ddpm` with beta_tilde on any stride. ValueError unless eta lies
    in 0 .. 1.
    """
    in_range("eta", eta, 0, 1)
    strides = strides_of(schedule)
    fresh = [eta * stride.sigma_up for stride in strides]
    lower = [stride.down_to(math.sqrt(stride.there[1] ** 2 - s**2)) for stride, s in zip(strides, fresh, strict=True)]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        x = lower[t - 1].ddim(prediction)
        return x.add_(noise(t).to(x), alpha=fresh[t - 1]) if fresh[t - 1] > 0 else x

    return walk_levels(denoiser, schedule, x_T, update)


def euler_ancestral(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's step in EDM coordinates to less noise than wanted, then fresh noise up to it (Crowson 2022):

        y_{t-1} = y_t + (rho_down - rho_t) eps-hat + rho_up z,
        rho_down = rho_{t-1}^2 / rho_t,    rho_up = sqrt(rho_{t-1}^2 - rho_down^2).

    The same law, and the same points, as `ddim` with eta = 1.
    """
    strides = strides_of(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        stride = strides[t - 1]
        x = stride.down_to(stride.sigma_down).ddim(prediction)
        return x.add_(noise(t).to(x), alpha=stride.sigma_up) if t > 1 else x

    return walk_levels(denoiser, schedule, x_T, update)


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
    """Heun's method, with noise added before every step and removed by it (Karras et al. 2022, algorithm 2):

        y' = y_t + inflation sqrt(rho'^2 - rho_t^2) z,    rho' = rho_t (1 + min(churn / T, sqrt 2 - 1)),

    then `heun` from (y', rho') to rho_{t-1}.

    churn      S_churn; 0 is `heun`
    churn_min, S_tmin and S_tmax: noise is added only where rho lies between them
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

    def churned(t: int, stride: Stride) -> Stride:
        alpha, sigma = stride.here
        stir = t > 1 and alpha * churn_min <= sigma and (alpha == 0 or sigma <= alpha * churn_max)
        return Stride((alpha, sigma * growth), stride.there) if stir else stride

    strides = [churned(t, stride) for t, stride in enumerate(strides_of(schedule), 1)]
    return _churned_heun(denoiser, schedule, x_T, noise, strides, inflation)


def _churned_heun(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, noise: Noise, strides: list[Stride], inflation: float
) -> Iterator[Step]:
    ask, level = Counted(prepared(denoiser, schedule.levels + [stride.here for stride in strides])), schedule.levels
    for t in range(schedule.T, 0, -1):
        stride = strides[t - 1]
        added = math.sqrt(stride.here[1] ** 2 - level[t][1] ** 2)
        stirred = torch.add(x, noise(t).to(x), alpha=inflation * added) if added > 0 else x
        prediction = ask(stirred, *stride.here)
        yield Step(t, x, Prediction.of(x, *level[t], x0=prediction.x0), ask.nfe)
        x = heun_step(ask, prediction, stride)
    yield final_step(x, ask.nfe)


def langevin_pc(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, correction: float = 0.1
) -> Iterator[Step]:
    """Predict by the probability flow, correct by one move of Langevin dynamics (Song et al. 2021, algorithms 1 to 5):

        x' = DDIM step of x_t,    x_{t-1} = x' + h/2 score(x') + sqrt(h) z,    h = correction sigma_{t-1}^2.

    correction is 4 r^2 for the paper's signal-to-noise ratio r. They measure it on the whole batch; this is its
    average, so that no particle depends on the others. 0 leaves the predictor, `ddim`. ValueError unless it lies in
    0 .. 2.
    """
    in_range("correction", correction, 0, 2)
    strides = strides_of(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        stride = strides[t - 1]
        x = stride.ddim(prediction)
        if t == 1 or correction == 0:
            return x
        sigma = stride.there[1]
        x = torch.add(x, ask(x, *stride.there).eps, alpha=-sigma * correction / 2)
        return x.add_(noise(t).to(x), alpha=sigma * math.sqrt(correction))

    return walk_levels(denoiser, schedule, x_T, update)
