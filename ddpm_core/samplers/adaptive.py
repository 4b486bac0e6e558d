"""A solver of the probability-flow ODE that chooses its own steps from an estimate of their error."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.stepping import Counted, Noise, Step, final_step, in_range
from ddpm_core.schedules import Schedule

END = 1e-4  # radians, from where one stride leads to data
SHORTEST = 1e-6  # radians; a step this short is accepted whatever its error


def adaptive(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, tolerance: float = 1e-3
) -> Iterator[Step]:
    """Steps as long as possible with an error below `tolerance`, root mean square over particles and coordinates.

    In variance-preserving coordinates and the angle theta = atan2(sigma, alpha) every path has one flow,

        y = cos theta x0 + sin theta eps,    dy/d theta = v(y, theta)    (Salimans & Ho 2022, appendix D),

    regular at both ends. With k_i = v at the i-th stage and h = the step in theta, Bogacki and Shampine's pair of
    orders 3 and 2 (1989) is

        y_new = y + h (2 k1 + 3 k2 + 4 k3) / 9,    error = h (-5 k1 + 6 k2 + 8 k3 - 9 k4) / 72:

    three evaluations a step, as k4 is the k1 of the next one. The way from the last level of the schedule to data is
    walked like this down to theta = END, where x0-hat is all but exact. The levels that were stepped over are read off
    the cubic through y, y_new, k1 and k4: they are output and nothing else, so T does not matter. Written here rather
    than taken from a library because the core needs only torch and numpy, and a pair of low order suits tolerances of
    1e-2 to 1e-5.

    tolerance: in standard deviations of the data. All particles share one step size, so unlike in any other sampler
    particle i depends on the others, within the tolerance. Raises ValueError unless tolerance lies in 1e-8 .. 1,
    FloatingPointError if the flow diverges.
    """
    in_range("tolerance", tolerance, 1e-8, 1)
    return _adaptive(Counted(denoiser), schedule, x_T, tolerance)


def _adaptive(ask: Counted, schedule: Schedule, x_T: Tensor, tolerance: float) -> Iterator[Step]:
    level, scale = schedule.levels, schedule.scale.tolist()
    theta = [math.atan2(sigma, alpha) for alpha, sigma in level]

    def slope(y: Tensor, angle: float) -> Tensor:
        return ask(y, math.cos(angle), math.sin(angle)).v

    prediction = ask(x_T, *level[-1])
    yield Step(schedule.T, x_T, prediction, ask.nfe)
    t, here, y, k1 = schedule.T, theta[-1], x_T / scale[-1], prediction.v / scale[-1]
    end = min(END, theta[1])
    h = (end - here) / 10  # below 0, as all steps
    while here > end:
        h = max(h, end - here)
        there = end if h == end - here else here + h
        k2 = slope(y + h / 2 * k1, here + h / 2)
        k3 = slope(y + 3 * h / 4 * k2, here + 3 * h / 4)
        new = y + h / 9 * (2 * k1 + 3 * k2 + 4 * k3)
        k4 = slope(new, there)
        error = (h / 72 * (-5 * k1 + 6 * k2 + 8 * k3 - 9 * k4)).square().mean().sqrt().item()
        if not math.isfinite(error):
            raise FloatingPointError(f"the flow diverges at alpha = {math.cos(here):g}, sigma = {math.sin(here):g}")
        if error <= tolerance or -h <= SHORTEST:
            while t > 1 and theta[t - 1] >= there:
                t -= 1
                u = (theta[t] - here) / h  # share of the step; Hermite's cubic and its slope
                x = (1 - u) ** 2 * ((1 + 2 * u) * y + u * h * k1) + u**2 * ((3 - 2 * u) * new + (u - 1) * h * k4)
                v = (1 - u) * ((1 - 3 * u) * k1 + 6 * u / h * (new - y)) + u * (3 * u - 2) * k4
                prediction = Prediction.of(scale[t] * x, *level[t], v=scale[t] * v)
                yield Step(t, prediction.x, prediction, ask.nfe)
            here, y, k1 = there, new, k4
        h *= min(max(0.9 * (tolerance / max(error, 1e-300)) ** (1 / 3), 0.2), 5.0)
    yield final_step(math.cos(here) * y - math.sin(here) * k1, ask.nfe)  # x0-hat
