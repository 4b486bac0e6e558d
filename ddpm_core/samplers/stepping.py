"""What every sampler does: walk the levels of a schedule from noise (t = T) to data (t = 0), and say so step by step.

All of them are built upon one stride. Between two levels the probability flow keeps a share of x and pulls it towards
the clean point,

    x_t = (sigma_t / sigma_s) x_s + (alpha_t - alpha_s sigma_t / sigma_s) x0-hat,

which is exact for as long as x0-hat stays the same: DDIM, and Euler's method for x / alpha against sigma / alpha. It
divides by sigma_s alone, so it is finite from pure noise (alpha_s = 0, lam = -inf) and into data (sigma_t = 0, lam =
+inf). There a stride is infinitely long in lam, no method is of any order, and every sampler takes this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, NoiseLevel, along, evaluations
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import Schedule

Noise = Callable[[int], Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """Where a walk has come to."""

    t: int  # index into the schedule, T .. 0
    x: Tensor  # [n, ...] where the particles are at t
    prediction: Prediction  # what the denoiser says of x; at t = 0, where nothing is asked, x0 is x
    nfe: int  # network evaluations so far


class Stride(NamedTuple):
    """From the level `here` to the less noisy level `there`."""

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
        """e^-h, from 0 for an infinite stride to 1 for none."""
        return self.here[0] * self.kept / self.there[0]

    @property
    def h(self) -> float:
        """The length in lam, above 0; inf from pure noise and into data."""
        return -math.log(self.decay) if self.decay > 0 else math.inf

    @property
    def bounded(self) -> bool:
        return self.decay > 0

    @property
    def overshoot(self) -> Stride:
        """Twice as far in lam, to the noise alpha_t rho_t^2 / rho_s; with `fresh` noise the level is `there` again.

        What is left of the old noise, and how far x0-hat reaches, in the posterior q(x_t | x_s, x0).
        """
        return Stride(self.here, (self.there[0], self.there[1] * self.decay))

    @property
    def fresh(self) -> float:
        """Standard deviation of q(x_t | x_s, x0), sigma_t sqrt(1 - e^-2h)."""
        return self.there[1] * math.sqrt(1 - self.decay**2)

    def towards(self, prediction: Prediction) -> Tensor:
        """Where x arrives if its x0 is right all the way: DDIM. A new tensor."""
        return prediction.blend(self.kept, self.gain)

    def along(self, eps: Tensor, x: Tensor) -> Tensor:
        """Where x arrives if eps is right all the way: a straight line in EDM coordinates, d(x / alpha) = eps d(rho).

        With the eps that belongs to x0 it is the same point; with any other, only where the stride is bounded.
        """
        stretch = self.there[0] / self.here[0]
        return (stretch * x).add_(eps, alpha=self.there[1] - stretch * self.here[1])


def levels(schedule: Schedule) -> list[NoiseLevel]:
    """(alpha_t, sigma_t) for t = 0..T."""
    return list(zip(schedule.alpha.tolist(), schedule.sigma.tolist(), strict=True))


def strides(schedule: Schedule) -> list[Stride]:
    """The strides t -> t - 1, for t = 1..T at index t - 1."""
    level = levels(schedule)
    return [Stride(here, there) for there, here in pairwise(level)]


class Counted:
    """A denoiser that knows how often it was asked."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser, self.nfe = denoiser, 0

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        self.nfe += evaluations(self.denoiser)
        return self.denoiser(x, alpha, sigma)


def arrived(x: Tensor, nfe: int) -> Step:
    """The last step of every walk: x is the sample."""
    return Step(0, x, Prediction.of(x, 1.0, 0.0, x0=x), nfe)


Update = Callable[[int, Prediction, Counted], Tensor]


def walk(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, update: Update, between: Sequence[NoiseLevel] = ()
) -> Iterator[Step]:
    """Ask once at every level, then let `update(t, prediction of x_t, ask)` give x_{t-1}; it may ask more.

    between: the further levels at which it will, so that networks can prepare for them.
    """
    ask, level = Counted(along(denoiser, schedule, between)), levels(schedule)
    for t in range(schedule.T, 0, -1):
        prediction = ask(x, *level[t])
        yield Step(t, x, prediction, ask.nfe)
        x = update(t, prediction, ask)
    yield arrived(x, ask.nfe)


def in_range(name: str, value: float, low: float, high: float) -> None:
    """ValueError that names field and range unless low <= value <= high; NaN is in no range."""
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in {low:g} .. {high:g}, got {value}")
