"""One-step solvers of the probability-flow ODE: what they do between two levels depends on nothing before.

In EDM coordinates, y = x / alpha against rho = sigma / alpha, the flow of every path is dy/d rho = eps-hat(y, rho)
(Karras et al. 2022, eq. 4). The methods differ in where they ask for the slope eps-hat, and in how they average it.
A step goes from the level s to the level t = s - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, strides_of, walk_levels
from ddpm_core.schedules import NoiseLevel, Schedule

LONGEST = 4.0  # in lam


def correctable(stride: Stride) -> bool:
    """Whether further slopes may correct Euler's step: h <= 4, that is rho_s / rho_t <= e^4 = 55.

    A slope is (y - x0-hat) / rho, so Heun's step contains the second x0-hat, the one at rho_t, with the weight

        (rho_s - rho_t) / (2 rho_t) = (e^h - 1) / 2,

    27 at h = 4. On the first of 13 strides of the cosine schedule, from rho = 20,000 to 8, it would be 1,200, although
    x_s is as good as pure noise there and Euler's step is right. Infinite strides, h = inf, are never corrected.
    """
    return stride.h <= LONGEST


def euler(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's method in EDM coordinates, order 1 (Karras et al. 2022, algorithm 1 without its correction):

        y_t = y_s + (rho_t - rho_s) eps-hat(y_s, rho_s).

    On every path the same points as `ddim` with eta = 0, and as DPM-Solver-1.
    """
    strides = strides_of(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        return strides[t - 1].ddim(prediction)

    return walk_levels(denoiser, schedule, x_T, update)


def euler_velocity(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's method along the path itself, order 1 (Lipman et al. 2023, section 3):

        x_t = x_s + (tau_t - tau_s) dx/d tau,    dx/d tau = alpha' x0-hat + sigma' eps-hat,

    where tau is the time of schedule.path, which is not that of the steps if they skip levels, and ' a slope along it.
    Equals `euler` where alpha and sigma are affine in tau (flow matching), and only there. Into data and from pure
    noise it takes the stride that every sampler takes.
    """
    strides = strides_of(schedule)
    tau, d_alpha, d_sigma = (part.tolist() for part in schedule.path)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        if not strides[t - 1].bounded:
            return strides[t - 1].ddim(prediction)
        return prediction.x + (tau[t - 1] - tau[t]) * prediction.velocity(d_alpha[t], d_sigma[t])

    return walk_levels(denoiser, schedule, x_T, update)


def heun_step(ask: Counted, prediction: Prediction, stride: Stride) -> Tensor:
    """Euler's step, then the same step with the mean of the slopes at its two ends; if `correctable`."""
    x = stride.ddim(prediction)
    if not correctable(stride):
        return x
    there = ask(x, *stride.there)
    return stride.euler(prediction.x, (prediction.eps + there.eps) / 2)


def heun(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Heun's method in EDM coordinates, order 2, two evaluations a step (Karras et al. 2022, algorithm 1):

        y'  = y_s + (rho_t - rho_s) eps-hat(y_s, rho_s)
        y_t = y_s + (rho_t - rho_s) (eps-hat(y_s, rho_s) + eps-hat(y', rho_t)) / 2.

    One evaluation at the last step, and at a first one from pure noise or nearly so: see `correctable`.
    """
    strides = strides_of(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        return heun_step(ask, prediction, strides[t - 1])

    return walk_levels(denoiser, schedule, x_T, update)


def _with_midpoint(
    denoiser: Denoiser,
    schedule: Schedule,
    x_T: Tensor,
    middle_rho: Callable[[float, float], float],
    slope: Callable[[Counted, Prediction, Stride, Stride], Tensor],
) -> Iterator[Step]:
    """Euler's step with `slope(ask, prediction, stride to the middle, whole stride)`; the middle is at middle_rho.

    The schedule has no level there, but x at (alpha, sigma) is the same point as x / alpha at (1, rho).
    """

    def middle(stride: Stride) -> NoiseLevel:
        (a_s, s_s), (a_t, s_t) = stride
        return (1.0, middle_rho(s_s / a_s, s_t / a_t)) if correctable(stride) else stride.here

    strides = strides_of(schedule)
    middles = [middle(stride) for stride in strides]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        stride = strides[t - 1]
        if not correctable(stride):
            return stride.ddim(prediction)
        half = Stride(stride.here, middles[t - 1])
        return stride.euler(prediction.x, slope(ask, prediction, half, stride))

    return walk_levels(denoiser, schedule, x_T, update, middles)


def dpm_solver_2(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """DPM-Solver-2, order 2, two evaluations a step (Lu et al. 2022a, algorithm 1 with r_1 = 1/2):

        y'  = y_s + (rho_m - rho_s) eps-hat(y_s, rho_s),    rho_m = sqrt(rho_s rho_t), halfway in lam
        y_t = y_s + (rho_t - rho_s) eps-hat(y', rho_m).

    One evaluation, and a DDIM step, where there is no middle: into data, from pure noise and nearly so.
    """

    def slope(ask: Counted, here: Prediction, half: Stride, whole: Stride) -> Tensor:
        return ask(half.ddim(here), *half.there).eps

    return _with_midpoint(denoiser, schedule, x_T, lambda rho_s, rho_t: math.sqrt(rho_s * rho_t), slope)


def rk4(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Runge and Kutta's classical method in EDM coordinates, order 4, four evaluations a step (Kutta 1901):

        k1 = eps-hat(y_s, rho_s)                               k3 = eps-hat(y_s + (rho_m - rho_s) k2, rho_m)
        k2 = eps-hat(y_s + (rho_m - rho_s) k1, rho_m)          k4 = eps-hat(y_s + (rho_t - rho_s) k3, rho_t)
        y_t = y_s + (rho_t - rho_s) (k1 + 2 k2 + 2 k3 + k4) / 6,    rho_m = (rho_s + rho_t) / 2.

    One evaluation, and Euler's step, into data, from pure noise and nearly so.
    """

    def slope(ask: Counted, here: Prediction, half: Stride, whole: Stride) -> Tensor:
        k1 = here.eps
        k2 = ask(half.euler(here.x, k1), *half.there).eps
        k3 = ask(half.euler(here.x, k2), *half.there).eps
        k4 = ask(whole.euler(here.x, k3), *whole.there).eps
        return (k1 + 2 * (k2 + k3) + k4) / 6

    return _with_midpoint(denoiser, schedule, x_T, lambda rho_s, rho_t: (rho_s + rho_t) / 2, slope)
