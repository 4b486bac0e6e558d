"""Where the probability flow of a mixture carries noise: the map that every deterministic sampler approximates.

In variance-preserving coordinates, with the angle (alpha, sigma) = (cos a, sin a) for time, the flow is dx/da = v(x, a)
with v = (alpha x - x0-hat) / sigma (Salimans & Ho 2022, appendix D), from a = pi / 2, noise, to a = 0, data. All of it
is smooth, the ends too; but data of bandwidth h take shape at angles of the size of h, whence a = h sinh(u) and equal
steps in u.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.schedules import NoiseLevel, Schedule

# Bound on the root-mean-square error of exact_flow on DATASETS, in their units. It comes from the few particles that
# start where the flow divides between two parts of the data; half of all err by less than a hundredth of it.
ACCURACY = 1e-5


def exact_flow(mixture: GaussianMixture, x_T: Tensor, schedule: Schedule, *, steps: int = 64) -> Tensor:
    """End points x0 [n, D], float64, of x_T [n, D] carried from the last level of `schedule` to data without error.

    The same x_T that a sampler is given, schedule.scale[-1] times unit noise; of the schedule only that last level
    matters. `steps` steps of the classical fourth-order Runge-Kutta method: 4 steps evaluations of mixture.denoise, an
    error that falls as steps^-4. ValueError for a mixture with a zero variance: its flow does not end smoothly.
    """
    return exact_flow_between(mixture, x_T, schedule.levels[-1], (1.0, 0.0), steps=steps)


def exact_flow_between(
    mixture: GaussianMixture, x: Tensor, here: NoiseLevel, there: NoiseLevel, *, steps: int = 16
) -> Tensor:
    """Where the flow carries x [n, D] from the level `here` to the level `there`, each (alpha, sigma); [n, D] float64.

    Raises what exact_flow raises.
    """
    bandwidth = mixture.variances.min().sqrt().item()
    if bandwidth == 0:
        raise ValueError("exact_flow needs a mixture without zero variances")
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
        u, after = top + i * h, end - (steps - 1 - i) * h  # data, u = 0, is met exactly
        k1 = rate(x, u)
        k2 = rate(x + h / 2 * k1, u + h / 2)
        k3 = rate(x + h / 2 * k2, u + h / 2)
        k4 = rate(x + h * k3, after)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x * math.hypot(*there)
