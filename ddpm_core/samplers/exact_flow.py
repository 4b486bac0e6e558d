"""Where the probability flow of a mixture carries noise: the map that every deterministic sampler approximates.

In variance-preserving coordinates, with the angle a as time, (alpha, sigma) = (cos a, sin a), the flow is

    dx/da = v(x, a) = (alpha x - x0-hat) / sigma    (Salimans & Ho 2022, appendix D)

from noise, a = pi / 2, to data, a = 0. It is smooth everywhere, but data of bandwidth h take shape at angles of about
h. Hence a = h sinh(u) with equal steps in u. To point masses, h = 0, every path ends as a straight line, which x0-hat
continues to its end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.schedules import NoiseLevel, Schedule

# Bound on the root-mean-square error of exact_flow on DATASETS, in their units. It is dominated by the few particles
# that start where the flow divides between two parts of the data; the median error is below a hundredth of it.
ACCURACY = 1e-5
POINTED = 1e-4  # the angle from which x0-hat stands for the end of the way to point masses
FINEST = 1e-2  # the h of point masses, which come to the fore at angles of about their distance


def exact_flow(mixture: GaussianMixture, x_T: Tensor, schedule: Schedule, *, steps: int = 64) -> Tensor:
    """End points x0 [n, D], float64, of x_T [n, D] carried from the last level of `schedule` to data, to ACCURACY.

    x_T is what a sampler is given, schedule.scale[-1] times unit noise; only the last level of the schedule matters.
    `steps` steps of the classical fourth-order Runge-Kutta method, four evaluations of mixture.denoise each; the error
    falls as steps^-4.
    """
    return exact_flow_between(mixture, x_T, schedule.levels[-1], (1.0, 0.0), steps=steps)


def exact_flow_between(
    mixture: GaussianMixture, x: Tensor, here: NoiseLevel, there: NoiseLevel, *, steps: int = 16
) -> Tensor:
    """Where the flow carries x [n, D] from the level `here` to the level `there`, each (alpha, sigma); [n, D] float64.

    ValueError if it should leave point masses, sigma = 0, as no flow does.
    """
    if mixture.singular:
        if here[1] == 0:
            raise ValueError("no flow leaves point masses: start from a level with noise")
        if there[1] == 0:
            near = math.cos(POINTED), math.sin(POINTED)
            return there[0] * mixture.denoise(exact_flow_between(mixture, x, here, near, steps=steps), *near)
    bandwidth = FINEST if mixture.singular else mixture.variances[mixture.weights > 0].min().sqrt().item()
    top, end = (math.asinh(math.atan2(sigma, alpha) / bandwidth) for alpha, sigma in (here, there))

    def rate(x: Tensor, u: float) -> Tensor:
        """dx/du; [n, D]. At data v = -sigma score is zero."""
        angle = bandwidth * math.sinh(u)
        alpha, sigma = math.cos(angle), math.sin(angle)
        if sigma == 0:
            return torch.zeros_like(x)
        return bandwidth * math.cosh(u) / sigma * (alpha * x - mixture.denoise(x, alpha, sigma))

    x, h = x.to("cpu", torch.float64) / math.hypot(*here), (end - top) / steps
    for i in range(steps):
        u, after = top + i * h, end - (steps - 1 - i) * h  # so that the last step ends at u = 0 exactly
        k1 = rate(x, u)
        k2 = rate(x + h / 2 * k1, u + h / 2)
        k3 = rate(x + h / 2 * k2, u + h / 2)
        k4 = rate(x + h * k3, after)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x * math.hypot(*there)
