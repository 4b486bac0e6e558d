"""Multistep solvers: one evaluation a step, and a polynomial through what the denoiser said before.

The flow is solved exactly but for one slowly changing quantity D, which a polynomial replaces:

    data   x_t = (sigma_t / sigma_s) x_s + alpha_t int e^(lam - lam_t) x0-hat d lam     (Lu et al. 2022b, eq. 9)
    noise  x_t = (alpha_t / alpha_s) x_s - sigma_t int e^(lam_t - lam) eps-hat d lam    (Lu et al. 2022a, eq. 3.4)
    rho    x_t / alpha_t = x_s / alpha_s + int eps-hat d rho                            (Karras et al. 2022, eq. 4)

So a step is a share of x plus a weighted sum of what was said. The methods differ in D, in the variable u that it is a
polynomial of, 0 at the start of the step and 1 at its end, and in the moments int u^k that decide the weights. If D
stands still, all three are the DDIM step. What lies before the start of the walk lies infinitely far away and weighs
nothing, so orders rise by themselves; an infinite step, from pure noise or into data, is DDIM's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, along
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, arrived, levels, strides, walk
from ddpm_core.schedules import Schedule


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
    variable: Tensor, ways: list[Stride], order: int, moments: Callable[[Stride, int], list[float]], *, ahead=False
) -> list[list[float]]:
    """For every stride t -> t - 1 of `ways`, at index t - 1, the weights of D_t, D_{t+1}, .. (`ahead`: D_{t-1} first).

    variable: what D is a polynomial of, [T + 1]; moments(stride, how many): int u^k in units of x. Each list has
    `order` entries (and one ahead), fewer at the start of the walk, and none for an infinite stride.
    """
    points, every = variable.tolist(), []
    for t, way in enumerate(ways, 1):
        weights = []
        if way.bounded:
            used = [t - 1] * ahead + [j for j in range(t, min(t + order, len(points))) if math.isfinite(points[j])]
            u = [(points[j] - points[t]) / (points[t - 1] - points[t]) for j in used]
            weights = lagrange_weights(u, moments(way, len(u)))
        every.append(weights)
    return every


def add_weighted(x: Tensor, weights: list[float], values: Iterable[Tensor]) -> Tensor:
    """x + sum_j w_j values_j, in place; values that have no weight do not count."""
    for weight, value in zip(weights, values, strict=False):
        x.add_(value, alpha=weight)
    return x


# ---- polynomials of lam, for x0-hat ---------------------------------------------------------------------------------


def data_moments(way: Stride, count: int) -> list[float]:
    """For x0-hat. Two moments are those of the middle of the step, as DPM-Solver++(2M) and UniPC have it."""
    moments = [way.there[0] * moment for moment in exponential_moments(way.h, count)]
    return [moments[0], moments[0] / 2] if count == 2 else moments


def data_weights(schedule: Schedule, ways: list[Stride], order: int, *, ahead=False) -> list[list[float]]:
    """polynomial_weights of x0-hat, which add up to the gain of a stride; those of an infinite stride are DDIM's."""
    every = polynomial_weights(schedule.lam, ways, order, data_moments, ahead=ahead)
    return [weights or [way.gain] for weights, way in zip(every, ways, strict=True)]


def _data_solver(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, order: int) -> Iterator[Step]:
    ways, history = strides(schedule), deque[Tensor](maxlen=order)
    weights = data_weights(schedule, ways, order)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.x0)
        return add_weighted(ways[t - 1].kept * prediction.x, weights[t - 1], history)

    return walk(denoiser, schedule, x_T, update)


def dpmpp_2m(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """DPM-Solver++(2M), order 2 (Lu et al. 2022b, algorithm 2)."""
    return _data_solver(denoiser, schedule, x_T, 2)


def dpmpp_3m(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """DPM-Solver++(3M), order 3: the parabola through three values of x0-hat, integrated exactly.

    The multistep form in the authors' code, and in those that follow it (diffusers), counts the second difference half,
    with which the order is 2; for x0-hat that are straight lines of lam both are the same.
    """
    return _data_solver(denoiser, schedule, x_T, 3)


def dpmpp_2m_sde(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M): the posterior's step of `ddpm`, x0-hat taken at its middle (Lu et al. 2022b, sec. 5)."""
    ways, history = [way.overshoot for way in strides(schedule)], deque[Tensor](maxlen=2)
    weights, fresh = data_weights(schedule, ways, 2), [way.fresh for way in strides(schedule)]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.x0)
        x = add_weighted(ways[t - 1].kept * prediction.x, weights[t - 1], history)
        return x.add_(noise(t).to(x), alpha=fresh[t - 1]) if t > 1 else x

    return walk(denoiser, schedule, x_T, update)


# ---- polynomials for eps-hat ----------------------------------------------------------------------------------------


def noise_moments(way: Stride, count: int) -> list[float]:
    """For eps-hat as a polynomial of lam."""
    return [way.there[1] * moment for moment in exponential_moments(-way.h, count)]


def rho_moments(way: Stride, count: int) -> list[float]:
    """For eps-hat as a polynomial of rho, int u^k d rho."""
    (a_s, s_s), (a_t, s_t) = way
    return [(s_t - a_t * s_s / a_s) / (k + 1) for k in range(count)]


def _noise_solver(
    denoiser: Denoiser,
    schedule: Schedule,
    x_T: Tensor,
    variable: Tensor,
    order: int,
    moments: Callable[[Stride, int], list[float]],
) -> Iterator[Step]:
    """DDIM's step, and the weighted changes D_j - D_0.

    Not x and eps-hat alone: near pure noise their large multiples cancel, and single precision would lose what is left.
    """
    if order not in (1, 2, 3, 4):
        raise ValueError(f"order must be a whole number in 1 .. 4, got {order}")
    ways, history = strides(schedule), deque[Tensor](maxlen=order)
    weights = polynomial_weights(variable, ways, order, moments)
    for every in weights:
        if every:
            every[0] -= sum(every)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        history.appendleft(prediction.eps)
        return add_weighted(ways[t - 1].towards(prediction), weights[t - 1], history)

    return walk(denoiser, schedule, x_T, update)


def deis(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, order: int = 3) -> Iterator[Step]:
    """DEIS with polynomials in time, tAB, of this order, 1 to 4 (Zhang & Chen 2023, eq. 15); time is lam.

    Keeps its order to the last level above data, and then takes one DDIM step more than diffusers, whose ends there.
    ValueError for another order.
    """
    return _noise_solver(denoiser, schedule, x_T, schedule.lam, order, noise_moments)


def adams_bashforth(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, order: int = 2
) -> Iterator[Step]:
    """Adams and Bashforth's method of this order, 1 to 4, in EDM coordinates (Zhang & Chen 2023, rho-AB).

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
    """A step, an evaluation where it ends, and the same step again with the polynomial through that one too.

    The evaluation serves the next step as well, so correcting is free. A Step holds the corrected x with the x0-hat
    that was said of the predicted one, as the method goes on with these two.
    """
    ask, level, ways = Counted(along(denoiser, schedule)), levels(schedule), strides(schedule)
    predict, correct = (data_weights(schedule, ways, order, ahead=ahead) for ahead in (False, True))
    history, before = deque[Tensor](maxlen=order + 1), x
    for t in range(schedule.T, 0, -1):
        x0 = ask(x, *level[t]).x0
        history.appendleft(x0)
        if t < schedule.T and ways[t].bounded:
            x = add_weighted(ways[t].kept * before, correct[t], history)
        yield Step(t, x, Prediction.of(x, *level[t], x0=x0), ask.nfe)
        before, x = x, add_weighted(ways[t - 1].kept * x, predict[t - 1], history)
    yield arrived(x, ask.nfe)
