"""What chance does to a metric: its floor, the band that it has for equal laws, the interval around what was measured.

Two kinds of metric, each written as the one thing that makes asking it hundreds of times cheap. A `TwoSample` metric is
told which of the pooled points are a: shuffling that is a permutation test. A `OneSample` metric is a function of a
mean over the particles: drawing the particles again, with replacement, is the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Measured(NamedTuple):
    value: float
    floor: float  # the size that `value` has, by chance alone, for perfect samples
    n: int


class Band(NamedTuple):
    low: float  # where 95 % of the values lie when a and b come from the same law
    high: float
    p: float  # how often, then, a value is at least as extreme as the one measured; small: the laws differ


class Interval(NamedTuple):
    low: float  # in 95 % of the experiments the true value lies between these
    high: float


class TwoSample:
    """A metric of a [n, D] against b [m, D]: `metric(a, b)`, a Measured. The floor: its median size, labels shuffled.

    values(points [N, D], first [R, N] bool) -> [R]: the metric under each of R ways to say which of the N = n + m
    points are a, so that the geometry, which is what costs, is computed once for all of them. Where a point is not
    finite the value is NaN. ValueError for clouds of different D, of different size where equal ones are needed, and
    for more than `most` points each.
    """

    def __init__(self, values: Callable[..., Tensor], *, equal: bool, most: int | None, shuffles: int):
        self.values, self.equal, self.most, self.shuffles = values, equal, most, shuffles
        self.__name__, self.__doc__, self.__module__ = values.__name__, values.__doc__, values.__module__

    def shuffled(self, a: Tensor, b: Tensor, repeats: int, generator: torch.Generator, **options) -> Tensor:
        """The value of a against b, then those of `repeats` random ways to divide the same points; [1 + repeats]."""
        if not (a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1]) or (self.equal and len(a) != len(b)):
            raise ValueError(f"{self.__name__} needs clouds of the same shape, got {tuple(a.shape)}, {tuple(b.shape)}")
        if self.most and max(len(a), len(b)) > self.most:
            raise ValueError(f"{self.__name__} takes at most {self.most:,} points, got {max(len(a), len(b)):,}")
        points = torch.cat([x.to("cpu", torch.float64) for x in (a, b)])
        order = torch.rand(repeats, len(points), generator=generator).argsort(1)
        if not points.isfinite().all():
            return torch.full((1 + repeats,), math.nan)
        return self.values(points, torch.cat([torch.arange(len(points))[None], order]) < len(a), **options)

    def value(self, a: Tensor, b: Tensor, **options) -> float:
        """The value alone: of __call__ all but the floor, which is most of the work."""
        return self.shuffled(a, b, 0, torch.Generator(), **options).item()

    def __call__(self, a: Tensor, b: Tensor, **options) -> Measured:
        values = self.shuffled(a, b, self.shuffles, torch.Generator().manual_seed(0), **options)
        return Measured(values[0].item(), values[1:].abs().median().item(), len(a))


class OneSample:
    """A metric of samples [n, D] against what is known exactly: `metric(samples, reference)`, a Measured.

    rows(samples, reference) -> ([n, M], floor): what each particle contributes, and the size of the metric by chance;
    summary: [..., M] -> [...], from the mean of the rows to the value; `norm` says that it is a norm of that mean.
    """

    def __init__(self, rows: Callable[..., tuple[Tensor, float]], summary: Callable[[Tensor], Tensor], norm: bool):
        self.rows, self.summary, self.norm = rows, summary, norm
        self.__name__, self.__doc__, self.__module__ = rows.__name__, rows.__doc__, rows.__module__

    def value(self, samples: Tensor, reference: Any) -> float:
        """The value alone."""
        return self(samples, reference).value

    def __call__(self, samples: Tensor, reference: Any) -> Measured:
        rows, floor = self.rows(samples, reference)
        return Measured(self.summary(rows.mean(0)).item(), floor, len(rows))


def two_sample(*, equal: bool = False, most: int | None = None, shuffles: int = 9) -> Callable[..., TwoSample]:
    """Make a TwoSample metric of its `values`; an odd number of shuffles has one of them for median."""
    return lambda values: TwoSample(values, equal=equal, most=most, shuffles=shuffles)


def one_sample(summary: Callable[[Tensor], Tensor], *, norm: bool = False) -> Callable[..., OneSample]:
    """Make a OneSample metric of its `rows`."""
    return lambda rows: OneSample(rows, summary, norm)


TAILS = torch.tensor([0.025, 0.975], dtype=torch.float64)


def permutation_band(
    metric: TwoSample, a: Tensor, b: Tensor, *, repeats: int = 199, generator: torch.Generator, **options
) -> Band:
    """Band of `metric` over `repeats` random ways to divide the pooled points of a [n, D] and b [m, D], and a p-value.

    Exact whatever the law, if a and b were drawn independently: p <= u has probability at most u (Phipson & Smyth 2010,
    eq. 2). Both tails count, since a cloud that copies the other is as suspicious as one that strays from it, and p
    is at least 2 / (repeats + 1). Takes the options of the metric.
    """
    value, null = metric.shuffled(a, b, repeats, generator, **options).to(torch.float64).split([1, repeats])
    extreme = min((null >= value).sum().item(), (null <= value).sum().item())
    low, high = null.quantile(TAILS).tolist()
    return Band(low, high, min(1.0, 2 * (1 + extreme) / (1 + repeats)))


def bootstrap_interval(
    metric: OneSample, samples: Tensor, reference: Any, *, repeats: int = 999, generator: torch.Generator
) -> Interval:
    """95 % interval of `metric` of samples [n, D], by drawing n of its particles with replacement, `repeats` times.

    The basic interval, 2 value - quantiles, which also takes off the bias of the metric to first order (Davison &
    Hinkley 1997, eq. 5.6). For a norm of a mean it would miss the zero that perfect samples have, so there it is the
    value plus and minus the size of what redrawing changes, by the triangle inequality: at least 95 %.

    It comes from the particles at hand, so it cannot know of what none of them met.
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
