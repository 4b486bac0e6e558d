"""The effect of chance on a metric: its floor, its band for equal distributions, and confidence intervals.

A floor is what truth against fresh truth gives. It never looks at the samples that are judged, so no defect of theirs
can raise it.

There are two kinds of metric, each written so that evaluating it hundreds of times is cheap. A `TwoSample` metric is
told which of the pooled points belong to a; shuffling that assignment gives a permutation test. A `OneSample` metric is
a function of a mean over the particles; resampling the particles with replacement gives the bootstrap.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture


class Floor(NamedTuple):
    """What a metric says of n perfect samples."""

    size: float  # the size of the value, by chance alone
    low: float  # 95 % of the values lie between low and high
    high: float


class Measured(NamedTuple):
    """What a metric says of n samples, beside what it says of perfect ones: the three numbers of `Floor`."""

    value: float
    floor: float
    low: float
    high: float
    n: int

    @property
    def perfect(self) -> bool:
        """Whether the value is one that perfect samples have."""
        return self.low <= self.value <= self.high


class Band(NamedTuple):
    low: float  # 95 % of the values lie between low and high if a and b have the same distribution
    high: float
    p: float  # probability, in that case, of a value at least as extreme as the measured one


class Interval(NamedTuple):
    low: float  # in 95 % of experiments the true value lies between low and high
    high: float


CLOUDS = 39  # perfect ones behind a floor: another one lies outside their range one time in 20, exactly
OWN_SEED = 7_039_039  # of the data behind floors, which must not be those that somebody else draws and measures


class TwoSample:
    """A metric of samples [n, D] against data: `metric(samples, mixture)` is a Measured, against n points of the data.

    Floor: median size and range of CLOUDS fresh clouds of the data, each against the same n points as the samples.

    values(pooled [N, D], is_a [R, N] bool) -> [R]: the metric under each of R assignments of the N = n + m points to
    a, so that the expensive geometry is computed only once. NaN if a point is not finite. ValueError for clouds of
    different D, of different size where equal ones are needed, and for more than `most` points each.
    """

    def __init__(self, values: Callable[..., Tensor], *, equal: bool, most: int | None):
        self.values, self.equal, self.most, self.computing = values, equal, most, threading.Lock()
        self.__name__, self.__doc__, self.__module__ = values.__name__, values.__doc__, values.__module__

    def shuffled(self, a: Tensor, b: Tensor, repeats: int, generator: torch.Generator, **options) -> Tensor:
        """The value of a against b, then the values of `repeats` random divisions of the same points; [1 + repeats]."""
        if not (a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1]) or (self.equal and len(a) != len(b)):
            raise ValueError(f"{self.__name__} needs clouds of the same shape; got {tuple(a.shape)}, {tuple(b.shape)}")
        if self.most and max(len(a), len(b)) > self.most:
            raise ValueError(f"{self.__name__} takes at most {self.most:,} points; got {max(len(a), len(b)):,}")
        points = torch.cat([x.to("cpu", torch.float64) for x in (a, b)])
        order = torch.rand(repeats, len(points), generator=generator).argsort(1)
        if not points.isfinite().all():
            return torch.full((1 + repeats,), math.nan)
        return self.values(points, torch.cat([torch.arange(len(points))[None], order]) < len(a), **options)

    def value(self, a: Tensor, b: Tensor, **options) -> float:
        """The metric of a [n, D] against b [m, D], any two clouds."""
        return self.shuffled(a, b, 0, torch.Generator(), **options).item()

    def floor(self, mixture: GaussianMixture, n: int, **options) -> Floor:
        """The Floor of n samples of the mixture; computed once, also where several ask at the same time."""
        with self.computing:
            return self._floor(mixture, n, **options)

    @lru_cache(maxsize=512)  # noqa: B019  # of the few metrics there are, which live as long as the process
    def _floor(self, mixture: GaussianMixture, n: int, **options) -> Floor:
        data, *perfect = _perfect(mixture, n)
        values = torch.tensor([self.value(cloud, data, **options) for cloud in perfect], dtype=torch.float64)
        return Floor(values.abs().median().item(), values.min().item(), values.max().item())

    def __call__(self, samples: Tensor, mixture: GaussianMixture, **options) -> Measured:
        n = len(samples)
        data = next(_perfect(mixture, n))
        return Measured(self.value(samples, data, **options), *self.floor(mixture, n, **options), n)


def _perfect(mixture: GaussianMixture, n: int) -> Iterator[Tensor]:
    """The n points [n, D] of the data that samples are compared with, then CLOUDS perfect clouds of the same size."""
    generator = torch.Generator().manual_seed(OWN_SEED)
    return (mixture.sample(n, generator=generator) for _ in range(1 + CLOUDS))


class OneSample:
    """A metric of samples [n, D] against an exact reference: `metric(samples, reference)` is a Measured.

    rows(samples, reference) -> ([n, M], Floor): the contribution of each particle, and what chance alone gives.
    summary: [..., M] -> [...], from the mean of the rows to the value. norm: whether summary is a norm of that mean.
    """

    def __init__(self, rows: Callable[..., tuple[Tensor, Floor]], summary: Callable[[Tensor], Tensor], norm: bool):
        self.rows, self.summary, self.norm = rows, summary, norm
        self.__name__, self.__doc__, self.__module__ = rows.__name__, rows.__doc__, rows.__module__

    def __call__(self, samples: Tensor, reference: Any) -> Measured:
        rows, floor = self.rows(samples, reference)
        return Measured(self.summary(rows.mean(0)).item(), *floor, len(rows))


def two_sample(*, equal: bool = False, most: int | None = None) -> Callable[..., TwoSample]:
    """Make a TwoSample metric from its `values`."""
    return lambda values: TwoSample(values, equal=equal, most=most)


def one_sample(summary: Callable[[Tensor], Tensor], *, norm: bool = False) -> Callable[..., OneSample]:
    """Make a OneSample metric from its `rows`."""
    return lambda rows: OneSample(rows, summary, norm)


TAILS = torch.tensor([0.025, 0.975], dtype=torch.float64)


def permutation_band(
    metric: TwoSample, a: Tensor, b: Tensor, *, repeats: int = 199, generator: torch.Generator, **options
) -> Band:
    """Band of `metric` over `repeats` random divisions of the pooled points of a [n, D] and b [m, D], and a p-value.

    Exact for any distribution if a and b were drawn independently: p <= u has probability at most u (Phipson & Smyth
    2010, eq. 2). Two-sided, because a cloud that copies the other is as suspicious as one that differs from it; so p is
    at least 2 / (repeats + 1). Takes the options of the metric.
    """
    value, null = metric.shuffled(a, b, repeats, generator, **options).to(torch.float64).split([1, repeats])
    extreme = min((null >= value).sum().item(), (null <= value).sum().item())
    low, high = null.quantile(TAILS).tolist()
    return Band(low, high, min(1.0, 2 * (1 + extreme) / (1 + repeats)))


def bootstrap_interval(
    metric: OneSample, samples: Tensor, reference: Any, *, repeats: int = 999, generator: torch.Generator
) -> Interval:
    """95 % interval of `metric` of samples [n, D], by resampling the n particles with replacement `repeats` times.

    The basic bootstrap interval, 2 value - quantiles, which also removes the bias of the metric to first order (Davison
    & Hinkley 1997, eq. 5.6). For a norm of a mean that interval would exclude the zero of perfect samples. There it is
    value ± the 95 % quantile of the norm of the resampled change; by the triangle inequality that covers at least 95 %.

    It knows only the particles at hand, so it cannot account for regions that none of them reached.
    """
    rows, _ = metric.rows(samples, reference)
    n, mean, parts = len(rows), rows.mean(0), []
    for some in torch.arange(repeats).split(max(1, 1_000_000 // n)):
        counts = torch.zeros(len(some), n, dtype=rows.dtype)
        index = torch.randint(n, counts.shape, generator=generator)
        parts.append(counts.scatter_add_(1, index, torch.ones_like(counts)) @ rows / n)
    value, drawn = metric.summary(mean).item(), torch.cat(parts)  # [repeats, M]
    if metric.norm:
        change = metric.summary(drawn - mean).quantile(0.95).item()
        return Interval(max(0.0, value - change), value + change)
    high, low = (2 * value - metric.summary(drawn).quantile(TAILS)).tolist()
    return Interval(low, high)
