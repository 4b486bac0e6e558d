"""What every sampler does: walk the levels of a schedule from noise (t = T) to data (t = 0), yielding every step.

All samplers are built on one stride. Between two levels s and t the probability flow keeps a share of x and adds a
share of the clean point,

    x_t = (sigma_t / sigma_s) x_s + (alpha_t - alpha_s sigma_t / sigma_s) x0-hat,

which is exact as long as x0-hat stays the same: DDIM, and Euler's method for x / alpha against sigma / alpha. It
divides by sigma_s only, so it is finite from pure noise (alpha_s = 0, lam = -inf) and into data (sigma_t = 0, lam =
+inf). Such a stride is infinitely long in lam, no method is of any order there, and every sampler takes this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, evaluations
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import prepared
from ddpm_core.schedules import NoiseLevel, Schedule

Noise = Callable[[int], Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """Where a walk has come to."""

    t: int  # index into the schedule, T .. 0
    x: Tensor  # [n, ...] where the particles are at t
    prediction: Prediction  # the denoiser's prediction at x; at t = 0, where it is not asked, x0 is x
    nfe: int  # network evaluations so far


class Stride(NamedTuple):
    """From the level `here`, (alpha_s, sigma_s), to the less noisy level `there`, (alpha_t, sigma_t)."""

    here: NoiseLevel
    there: NoiseLevel

    @property
    def kept(self) -> float:
        """sigma_t / sigma_s, the weight of x."""
        return self.there[1] / self.here[1]

    @property
    def gain(self) -> float:
        """alpha_t (1 - e^-h), the weight of x0-hat."""
        return self.there[0] - self.here[0] * self.kept

    @property
    def decay(self) -> float:
        """e^-h = rho_t / rho_s with rho = sigma / alpha: 0 for an infinite stride, 1 for none."""
        return self.here[0] * self.kept / self.there[0]

    @property
    def h(self) -> float:
        """The length in lam, above 0; inf from pure noise and into data."""
        return -math.log(self.decay) if self.decay > 0 else math.inf

    @property
    def bounded(self) -> bool:
        return self.decay > 0

    @property
    def sigma_up(self) -> float:
        """Standard deviation of q(x_t | x_s, x0), sigma_t sqrt(1 - e^-2h): the fresh noise of an ancestral step."""
        return self.there[1] * math.sqrt(1 - self.decay**2)

    @property
    def sigma_down(self) -> float:
        """sqrt(sigma_t^2 - sigma_up^2) = sigma_t e^-h: what an ancestral step leaves of the old noise."""
        return self.there[1] * self.decay

    def down_to(self, sigma: float) -> Stride:
        """To the noise `sigma` instead of sigma_t, at the same alpha_t."""
        return Stride(self.here, (self.there[0], sigma))

    def ddim(self, prediction: Prediction) -> Tensor:
        """x_t if x0-hat is right all the way: kept x + gain x0-hat. A new tensor."""
        return prediction.blend(self.kept, self.gain)

    def euler(self, x: Tensor, eps: Tensor) -> Tensor:
        """x_t if the slope eps is right all the way: x_t / alpha_t = x_s / alpha_s + (rho_t - rho_s) eps.

        With the eps that belongs to x0-hat this is `ddim`; with any other, only for bounded strides.
        """
        stretch = self.there[0] / self.here[0]
        return (stretch * x).add_(eps, alpha=self.there[1] - stretch * self.here[1])


def strides_of(schedule: Schedule) -> list[Stride]:
    """The strides t -> t - 1, for t = 1..T at index t - 1."""
    return [Stride(here, there) for there, here in pairwise(schedule.levels)]


class Counted:
    """A denoiser that counts how often it was asked."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser, self.nfe = denoiser, 0

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        self.nfe += evaluations(self.denoiser)
        return self.denoiser(x, alpha, sigma)


def final_step(x: Tensor, nfe: int) -> Step:
    """The step that ends every walk: x is the sample."""
    return Step(0, x, Prediction.of(x, 1.0, 0.0, x0=x), nfe)


Update = Callable[[int, Prediction, Counted], Tensor]


def walk_levels(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, update: Update, further: Sequence[NoiseLevel] = ()
) -> Iterator[Step]:
    """Ask once at every level, then let `update(t, prediction of x_t, ask)` give x_{t-1}; it may ask more.

    further: levels besides those of the schedule at which `update` asks, so that networks can prepare for them.
    """
    ask, level = Counted(prepared(denoiser, [*schedule.levels, *further])), schedule.levels
    for t in range(schedule.T, 0, -1):
        prediction = ask(x, *level[t])
        yield Step(t, x, prediction, ask.nfe)
        x = update(t, prediction, ask)
    yield final_step(x, ask.nfe)


def in_range(name: str, value: float, low: float, high: float) -> None:
    """ValueError that names field and range unless low <= value <= high; NaN is in no range."""
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in {low:g} .. {high:g}, got {value}")
