"""One-step solvers of the probability-flow ODE: what they do between two levels depends on nothing before.

In EDM coordinates, y = x / alpha against rho = sigma / alpha, the flow of every path is dy/d rho = eps-hat(y, rho)
(Karras et al. 2022, eq. 4). The methods differ in where they ask for the slope eps-hat, and in how they average it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, NoiseLevel
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.stepping import Counted, Noise, Step, Stride, strides, walk
from ddpm_core.schedules import Schedule

LONGEST = 4.0  # in lam


def correctable(way: Stride) -> bool:
    """Whether further slopes may correct Euler's step: not to or from infinity, nor on strides longer than LONGEST.

    In a slope x0-hat counts 1 / rho. What is said of it at rho_t and was not at rho_s enters a mean of both
    (rho_s - rho_t) / (2 rho_t) times: 1,200 times on the first of 13 strides of the cosine schedule, from 20,000 to 8,
    where x_s is as good as pure noise and Euler's step is right.
    """
    return way.h <= LONGEST


def euler(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's method in EDM coordinates, order 1 (Karras et al. 2022, algorithm 1 without its correction).

    On every path the same points as `ddim` with eta = 0, and as DPM-Solver-1.
    """
    ways = strides(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        return ways[t - 1].towards(prediction)

    return walk(denoiser, schedule, x_T, update)


def euler_velocity(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's method on dx/dt = alpha' x0-hat + sigma' eps-hat, in the coordinates of the path; order 1.

    Equals `euler` where alpha and sigma are affine in t (flow matching), and only there.
    """
    d_alpha, d_sigma = (slope.tolist() for slope in schedule.path_slope())

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        return prediction.x - prediction.velocity(d_alpha[t], d_sigma[t])

    return walk(denoiser, schedule, x_T, update)


def heun_step(ask: Counted, prediction: Prediction, way: Stride) -> Tensor:
    """The mean of the slopes here and at the end of Euler's step; where that cannot be, Euler's alone."""
    x = way.towards(prediction)
    if not correctable(way):
        return x
    there = ask(x, *way.there)
    return way.along((prediction.eps + there.eps) / 2, prediction.x)


def heun(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Heun's method in EDM coordinates, order 2, two evaluations a step (Karras et al. 2022, algorithm 1).

    One at the last step, and at a first one from pure noise, or from all but pure noise: see `correctable`.
    """
    ways = strides(schedule)

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        return heun_step(ask, prediction, ways[t - 1])

    return walk(denoiser, schedule, x_T, update)


def _through_middle(
    denoiser: Denoiser,
    schedule: Schedule,
    x_T: Tensor,
    middle_rho: Callable[[float, float], float],
    slope: Callable[[Counted, Prediction, Stride, Stride], Tensor],
) -> Iterator[Step]:
    """Move by `slope(ask, prediction, stride to the middle, whole stride)`, where the middle lies at middle_rho.

    The schedule has no level there. Denoisers know x and c x at (c alpha, c sigma) for one point, so (1, rho) will do.
    """

    def halves(way: Stride) -> NoiseLevel:
        (a_s, s_s), (a_t, s_t) = way
        return (1.0, middle_rho(s_s / a_s, s_t / a_t)) if correctable(way) else way.here

    ways = strides(schedule)
    middles = [halves(way) for way in ways]

    def update(t: int, prediction: Prediction, ask: Counted) -> Tensor:
        way = ways[t - 1]
        if not correctable(way):
            return way.towards(prediction)
        return way.along(slope(ask, prediction, Stride(way.here, middles[t - 1]), way), prediction.x)

    return walk(denoiser, schedule, x_T, update, middles)


def dpm_solver_2(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """The slope halfway in lam, order 2, two evaluations a step (Lu et al. 2022a, algorithm 1 with r_1 = 1/2).

    One evaluation, and a DDIM step, where there is no middle: into data, from pure noise and what is almost that.
    """

    def slope(ask: Counted, here: Prediction, half: Stride, way: Stride) -> Tensor:
        return ask(half.towards(here), *half.there).eps

    return _through_middle(denoiser, schedule, x_T, lambda rho_s, rho_t: math.sqrt(rho_s * rho_t), slope)


def rk4(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Runge and Kutta's classical method in EDM coordinates, order 4, four evaluations a step (Kutta 1901).

    One evaluation, and Euler's step, into data, from pure noise and from what is almost that.
    """

    def slope(ask: Counted, here: Prediction, half: Stride, way: Stride) -> Tensor:
        first = here.eps
        second = ask(half.along(first, here.x), *half.there).eps
        third = ask(half.along(second, here.x), *half.there).eps
        fourth = ask(way.along(third, here.x), *way.there).eps
        return (first + 2 * (second + third) + fourth) / 6

    return _through_middle(denoiser, schedule, x_T, lambda rho_s, rho_t: (rho_s + rho_t) / 2, slope)
