"""Multistep solvers: one evaluation a step, and a polynomial through the last few answers of the denoiser.

The flow is solved exactly but for one slowly changing quantity D, which a polynomial replaces. From the level s to t:

    data   x_t = (sigma_t / sigma_s) x_s + alpha_t int e^(lam - lam_t) x0-hat d lam     (Lu et al. 2022b, eq. 9)
    noise  x_t = (alpha_t / alpha_s) x_s - sigma_t int e^(lam_t - lam) eps-hat d lam    (Lu et al. 2022a, eq. 3.4)
    rho    x_t / alpha_t = x_s / alpha_s + int eps-hat d rho                            (Karras et al. 2022, eq. 4)

So a step is a share of x plus a weighted sum of answers. The methods differ in D, in the variable u that it is a
polynomial of, 0 at the start of the step and 1 at its end, and in the moments int u^k, which decide the weights. If D
stands still, all three are the DDIM step. Levels before the start of the walk lie infinitely far away and weigh
nothing, so orders rise by themselves; an infinite step, from pure noise or into data, is DDIM's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import prepared
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, final_step, strides_of, walk_levels
from ddpm_core.schedules import Schedule

Moments = Callable[[Stride, int], list[float]]  # (stride, how many) -> int u^k, in units of x


def exponential_moments(z: float, count: int) -> list[float]:
    """int_0^1 z e^(-z (1 - u)) u^k du for k < count, by parts: 1 - e^-z, then 1 - (k / z) times the one before.

    z = h for data, z = -h for noise. Small z cost digits, as fast as the differences that these weigh shrink.
    """
    moments = [-math.expm1(-z)]
    for k in range(1, count):
        moments.append(1 - k / z * moments[-1])
    return moments


def lagrange_weights(u: list[float], moments: list[float]) -> list[float]:
    """w with sum_j w_j D(u_j) = int D for every polynomial D of degree < len(u), given int u^k."""
    return np.linalg.solve(np.vander(u, increasing=True).T, moments).tolist()


def polynomial_weights(
    variable: Tensor, strides: list[Stride], order: int, moments: Moments, *, ahead=False
) -> list[list[float]]:
    """For every stride t -> t - 1, at index t - 1, the weights of D_t, D_{t+1}, .. (`ahead`: D_{t-1} first).

    variable: what D is a polynomial of, [T + 1]. Each list has `order` entries (and one ahead), fewer at the start of
    the walk, and none for an infinite stride.
    """
    points, every = variable.tolist(), []
    for t, stride in enumerate(strides, 1):
        weights = []
        if stride.bounded:
            used = [t - 1] * ahead + [j for j in range(t, min(t + order, len(points))) if math.isfinite(points[j])]
            u = [(points[j] - points[t]) / (points[t - 1] - points[t]) for j in used]
            weights = lagrange_weights(u, moments(stride, len(u)))
        every.append(weights)
    return every


def add_weighted(x: Tensor, weights: list[float], values: Iterable[Tensor]) -> Tensor:
    """x + sum_j w_j values_j, in place; values without a weight do not count."""
    for weight, value in zip(weights, values, strict=False):
        x.add_(value, alpha=weight)
    return x


# ---- polynomials of lam, for x0-hat ---------------------------------------------------------------------------------


def data_moments(stride: Stride, count: int) -> list[float]:
    """For x0-hat: alpha_t times the exponential moments.

    With two, int u = (int 1) / 2, as if the straight line were taken at the middle of the step: DPM-Solver++(2M) and
    UniPC do so, and it is of the same order.
    """
    moments = [stride.there[0] * moment for moment in exponential_moments(stride.h, count)]
    return [moments[0], moments[0] / 2] if count == 2 else moments


def data_weights(schedule: Schedule, strides: list[Stride], order: int, *, ahead=False) -> list[list[float]]:
    """polynomial_weights of x0-hat, which add up to the gain of a stride; an infinite stride has DDIM's, [gain]."""
    every = polynomial_weights(schedule.lam, strides, order, data_moments, ahead=ahead)
    return [weights or [stride.gain] for weights, stride in zip(every, strides, strict=True)]


def _data_solver(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, order: int) -> Iterator[Step]:
    """x_{t-1} = kept x_t + sum_j w_j x0-hat_{t+j}."""
    strides, history = strides_of(schedule), deque[Tensor](maxlen=order)
    weights = data_weights(schedule, strides, order)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.x0)
        return add_weighted(strides[t - 1].kept * prediction.x, weights[t - 1], history)

    return walk_levels(denoiser, schedule, x_T, update)


def dpmpp_2m(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """DPM-Solver++(2M), order 2 (Lu et al. 2022b, algorithm 2): DDIM with x0-hat extrapolated to mid-step,

    x_{t-1} = (sigma_{t-1} / sigma_t) x_t + alpha_{t-1} (1 - e^-h) D,
    D = x0-hat_t + (h / h_before) (x0-hat_t - x0-hat_{t+1}) / 2.
    """
    return _data_solver(denoiser, schedule, x_T, 2)


def dpmpp_3m(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """DPM-Solver++(3M), order 3: the parabola through three values of x0-hat, integrated exactly.

    The multistep form in the authors' code, and in those that follow it (diffusers), counts the second difference half,
    with which the order is 2; if x0-hat is a straight line of lam, both are the same.
    """
    return _data_solver(denoiser, schedule, x_T, 3)


def dpmpp_2m_sde(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M): the ancestral step with the D of `dpmpp_2m` (Lu et al. 2022b, section 5),

    x_{t-1} = (sigma_down / sigma_t) x_t + alpha_{t-1} (1 - e^-2h) D + sigma_up z.
    """
    strides, history = strides_of(schedule), deque[Tensor](maxlen=2)
    down = [stride.down_to(stride.sigma_down) for stride in strides]
    weights = data_weights(schedule, down, 2)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.x0)
        x = add_weighted(down[t - 1].kept * prediction.x, weights[t - 1], history)
        return x.add_(noise(t).to(x), alpha=strides[t - 1].sigma_up) if t > 1 else x

    return walk_levels(denoiser, schedule, x_T, update)


# ---- polynomials for eps-hat ----------------------------------------------------------------------------------------


def noise_moments(stride: Stride, count: int) -> list[float]:
    """For eps-hat as a polynomial of lam: sigma_t times the exponential moments."""
    return [stride.there[1] * moment for moment in exponential_moments(-stride.h, count)]


def rho_moments(stride: Stride, count: int) -> list[float]:
    """For eps-hat as a polynomial of rho: int u^k d rho = alpha_t (rho_t - rho_s) / (k + 1)."""
    (a_s, s_s), (a_t, s_t) = stride
    return [(s_t - a_t * s_s / a_s) / (k + 1) for k in range(count)]


def as_changes(weights: list[float]) -> list[float]:
    """The same sum without its DDIM part, which is W D_0 with W = sum_j w_j:

    sum_j w_j D_j - W D_0 = (w_0 - W) D_0 + w_1 D_1 + ...
    """
    return [weights[0] - sum(weights), *weights[1:]] if weights else []


def _noise_solver(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, variable: Tensor, order: int, moments: Moments
) -> Iterator[Step]:
    """x_{t-1} = DDIM step + sum_j w_j (eps-hat_{t+j} - eps-hat_t).

    Not a sum of x and eps-hats: near pure noise their large multiples cancel, and single precision would lose the rest.
    """
    if order not in (1, 2, 3, 4):
        raise ValueError(f"order must be a whole number in 1 .. 4, got {order}")
    strides, history = strides_of(schedule), deque[Tensor](maxlen=order)
    changes = [as_changes(weights) for weights in polynomial_weights(variable, strides, order, moments)]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.eps)
        return add_weighted(strides[t - 1].ddim(prediction), changes[t - 1], history)

    return walk_levels(denoiser, schedule, x_T, update)


def deis(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, order: int = 3) -> Iterator[Step]:
    """DEIS with polynomials in time, tAB, of this order, 1 to 4 (Zhang & Chen 2023, eq. 15); time is lam:

        x_{t-1} = (alpha_{t-1} / alpha_t) x_t + sum_j w_j eps-hat_{t+j},

    w_j = - sigma_{t-1} int e^(lam_{t-1} - lam) L_j(lam) d lam with Lagrange's polynomials L_j.

    Keeps its order to the last level above data, and then takes one DDIM step more than diffusers, whose ends there.
    ValueError for another order.
    """
    return _noise_solver(denoiser, schedule, x_T, schedule.lam, order, noise_moments)


def adams_bashforth(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, order: int = 2
) -> Iterator[Step]:
    """Adams and Bashforth's method of this order, 1 to 4, in EDM coordinates (Zhang & Chen 2023, rho-AB):

        y_{t-1} = y_t + sum_j w_j eps-hat_{t+j},    w_j = int L_j(rho) d rho,    y = x / alpha.

    ValueError for another order.
    """
    return _noise_solver(denoiser, schedule, x_T, schedule.sigma / schedule.alpha, order, rho_moments)


# ---- predictor and corrector ----------------------------------------------------------------------------------------


def unipc_2(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """UniPC with the predictor of `dpmpp_2m`, order 3 (Zhao et al. 2023, algorithms 1 and 2, B_2)."""
    return _unipc(denoiser, schedule, x_T, 2)


def unipc_3(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """UniPC with the predictor of `dpmpp_3m`, order 4 (Zhao et al. 2023, algorithms 1 and 2, B_2).

    Keeps its order to the last level above data; diffusers takes the step before that one with order 2.
    """
    return _unipc(denoiser, schedule, x_T, 3)


def _unipc(denoiser: Denoiser, schedule: Schedule, x: Tensor, order: int) -> Iterator[Step]:
    """A step, an evaluation where it ends, and the same step again with the polynomial through that answer too:

        predict  x'_t = kept x_s + sum_{j >= s} w_j x0-hat_j,    x0-hat_t = x0-hat(x'_t)
        correct  x_t  = kept x_s + sum_{j >= t} c_j x0-hat_j.

    The evaluation serves the next step as well, so correcting is free. A Step holds the corrected x with the x0-hat
    of the predicted one, as the method goes on with these two.
    """
    ask, level, strides = Counted(prepared(denoiser, schedule.levels)), schedule.levels, strides_of(schedule)
    predict, correct = (data_weights(schedule, strides, order, ahead=ahead) for ahead in (False, True))
    history, before = deque[Tensor](maxlen=order + 1), x
    for t in range(schedule.T, 0, -1):
        x0 = ask(x, *level[t]).x0
        history.appendleft(x0)
        if t < schedule.T and strides[t].bounded:
            x = add_weighted(strides[t].kept * before, correct[t], history)
        yield Step(t, x, Prediction.of(x, *level[t], x0=x0), ask.nfe)
        before, x = x, add_weighted(strides[t - 1].kept * x, predict[t - 1], history)
    yield final_step(x, ask.nfe)
