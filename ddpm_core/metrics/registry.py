"""All metrics, each with its noise floor: the value that equally many perfect samples show by chance.

A distance means nothing without its n and its floor, because two clouds drawn from the same distribution are never at
distance zero. No metric detects every defect: METRICS lists what each one detects and what it misses, so that two can
be chosen that complement each other.

Metrics of two clouds are in `distances`. Those in this file compare samples with what is known exactly, the density or
the flow, and are written as per-particle rows for @one_sample of `intervals`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.metrics.distances import energy_distance, exact_w2, mmd, one_nn_accuracy, precision, recall, sliced_w2
from ddpm_core.metrics.intervals import TAILS, Floor, Measured, OneSample, TwoSample, one_sample
from ddpm_core.samplers.exact_flow import ACCURACY

ENTROPY_SAMPLES = 100_000
WITHIN = 1.96  # standard errors: 95 % of a normal distribution
OUTSIDE = 0.001  # share of the data that `outlier_share` calls outliers


def _nll(x: Tensor, mixture: GaussianMixture) -> Tensor:
    """-log p of x [n, D] in nats; [n]."""
    return -torch.cat([mixture.log_prob(part) for part in x.split(2048)])


@lru_cache(maxsize=64)
def _surprise(mixture: GaussianMixture) -> tuple[float, float, float]:
    """Of -log p under p itself, in nats, over ENTROPY_SAMPLES points: its mean (the entropy), its standard deviation,
    and what the share OUTSIDE of the points exceeds.
    """
    x = mixture.sample(
        ENTROPY_SAMPLES, generator=torch.Generator().manual_seed(0)
    ).float()  # single precision is plenty for a mean
    nll = _nll(x, mixture).double()
    return nll.mean().item(), nll.std().item(), nll.quantile(1 - OUTSIDE).item()


# ---- samples against the density, or against the exact flow --------------------------------------------------------


@one_sample(lambda mean: mean[..., 0])
def excess_nll(samples: Tensor, mixture: GaussianMixture) -> tuple[Tensor, Floor]:
    """Mean of -log p over samples [n, D] minus the entropy of p, in nats; zero on average for perfect samples.

    Detects blur, shift and outliers. Misses a missing mode no denser than the others, and repeated points. Negative for
    samples that concentrate where the density is highest. The floor is one standard error.
    """
    entropy, spread, _ = _surprise(mixture)
    error = spread * (1 / len(samples) + 1 / ENTROPY_SAMPLES) ** 0.5
    nll = _nll(samples.to("cpu", torch.float64), mixture)
    return nll[:, None] - entropy, Floor(error, -WITHIN * error, WITHIN * error)


@one_sample(lambda mean: mean[..., 0])
def outlier_share(samples: Tensor, mixture: GaussianMixture) -> tuple[Tensor, Floor]:
    """Share of samples [n, D] outside the smallest region that holds 999 in 1,000 of the data (Hyndman 1996).

    There the density is lower than at all but one in 1,000 points of the data, so perfect samples have a share of
    0.001. A stray particle counts once, however far away it is. Detects blur, shift and outliers. Misses a missing mode
    and repeated points. The range is that of a Poisson number; above n = 10,000 it is a little too narrow, because the
    border of the region is itself estimated, from 100,000 points.
    """
    n, limit = len(samples), _surprise(mixture)[2]
    outside = ~(_nll(samples.to("cpu", torch.float64), mixture) <= limit)  # also what is not finite
    low, high = _poisson_range(n * OUTSIDE)
    return outside[:, None].double(), Floor(OUTSIDE, low / n, high / n)


@lru_cache(maxsize=64)
def _poisson_range(mean: float) -> tuple[int, int]:
    """Between which a Poisson number lies with at least 95 %."""
    counts = torch.arange(10 + 2 * math.ceil(mean), dtype=torch.float64)
    at_most = torch.special.gammaincc(counts + 1, torch.tensor(mean, dtype=torch.float64))  # P(number <= count)
    low, high = ((at_most < tail).sum().item() for tail in TAILS)
    return int(low), int(high)


def _modes(mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
    """The modes [M], and for each component the index of its mode [K]. If there is only one label, each component is a
    mode; otherwise the labels are the modes.
    """
    several = len(mixture.labels.unique()) > 1
    return (mixture.labels if several else torch.arange(mixture.K)).unique(return_inverse=True)


def _by_mode(shares: Tensor, mixture: GaussianMixture) -> Tensor:
    """Sum the shares [n, K] of the components over each mode; [n, M]."""
    modes, mode = _modes(mixture)
    return shares.new_zeros(len(shares), len(modes)).index_add_(1, mode, shares)


def _memberships(x: Tensor, mixture: GaussianMixture) -> Tensor:
    """P(mode | x) for x [n, D]; [n, M]. Its mean under the mixture is the weight of the mode, even if modes overlap."""
    parts = x.to("cpu", torch.float64).split(2048)
    return torch.cat([_by_mode(mixture.responsibilities(part), mixture) for part in parts])


def _variation(deviation: Tensor) -> Tensor:
    """Total variation distance [...] of two vectors of shares, from their difference [..., M]."""
    return deviation.abs().sum(-1) / 2


@lru_cache(maxsize=64)
def _variation_by_chance(mixture: GaussianMixture) -> Tensor:
    """sqrt(n) times `mode_coverage` of many perfect samples, 10,000 times: by the central limit theorem."""
    generator = torch.Generator().manual_seed(0)
    memberships = _memberships(mixture.sample(20_000, generator=generator), mixture)
    variances, axes = torch.linalg.eigh(memberships.mT.cov())
    drawn = torch.randn(10_000, len(variances), generator=generator, dtype=torch.float64)
    return _variation((drawn * variances.clamp(min=0).sqrt()) @ axes.mT)


@one_sample(_variation, norm=True)
def mode_coverage(samples: Tensor, mixture: GaussianMixture) -> tuple[Tensor, Floor]:
    """Share of samples [n, D] that would have to move to another mode to make the proportions right; 0 is best.

    The total variation distance between the mean of P(mode | x) over the samples (Bayes' rule) and the weights of the
    modes; a missing mode costs its weight. Detects missing and unbalanced modes. Misses blur and anything else within a
    mode. The floor is the mean of perfect samples.
    """
    deviation = _memberships(samples, mixture) - _by_mode(mixture.weights[None], mixture)
    chance = _variation_by_chance(mixture) / len(samples) ** 0.5
    return deviation, Floor(chance.mean().item(), *chance.quantile(TAILS).tolist())


@one_sample(lambda mean: mean[..., 0].sqrt())
def strong_error(samples: Tensor, exact: Tensor) -> tuple[Tensor, Floor]:
    """Root-mean-square distance of samples [n, D] to the exact end points [n, D] of the same noise, in their units.

    exact: exact_flow of the noise that the samples were made from, row by row. The only metric of single particles
    rather than of their distribution: it detects whatever moves a particle, down to the accuracy of `exact_flow`, its
    floor. It cannot tell that a stochastic sampler has the right distribution all the same. ValueError if the shapes
    differ.
    """
    if samples.shape != exact.shape:
        raise ValueError(
            f"strong_error needs one exact end point per sample; got {tuple(samples.shape)}, {tuple(exact.shape)}"
        )
    return (samples.to(exact) - exact).square().sum(-1, keepdim=True), Floor(ACCURACY, 0.0, ACCURACY)


# ---- the registry --------------------------------------------------------------------------------------------------


class Metric(NamedTuple):
    measure: TwoSample | OneSample  # (samples, mixture) -> Measured; against the flow: (samples, its end points)
    against: str  # compares with points of the "data", the density of the "mixture", or end points of the exact "flow"
    unit: str
    best: float  # its value for infinitely many perfect samples
    sees: tuple[str, ...]  # the DEFECTS that take it out of its band
    blind_to: tuple[str, ...]  # those that do not; for the rest it depends on the data
    most: int | None = None  # largest number of points


# Of 2,000 standardised points: blurred by 0.05; shifted by 0.2; one of eight modes missing; half of the points, each
# twice; 5 % spread uniformly over the square that contains the data.
DEFECTS = ("blur", "shift", "lost_mode", "memorised", "outliers")

METRICS: dict[str, Metric] = {
    "excess_nll": Metric(excess_nll, "mixture", "nats", 0, ("blur", "shift", "outliers"), ("lost_mode", "memorised")),
    "outlier_share": Metric(
        outlier_share, "mixture", "", OUTSIDE, ("blur", "shift", "outliers"), ("lost_mode", "memorised")
    ),
    "mode_coverage": Metric(mode_coverage, "mixture", "", 0, ("lost_mode",), ("blur", "outliers")),
    "exact_w2": Metric(exact_w2, "data", "", 0, ("shift", "lost_mode"), ("blur", "outliers"), most=exact_w2.most),
    "sliced_w2": Metric(sliced_w2, "data", "", 0, ("shift", "lost_mode"), ("blur", "outliers")),
    "energy_distance": Metric(energy_distance, "data", "", 0, ("shift", "lost_mode"), ("blur", "outliers")),
    "mmd": Metric(mmd, "data", "", 0, ("shift", "lost_mode"), ("blur", "outliers")),
    "precision": Metric(precision, "data", "", 1, ("blur", "shift", "outliers"), ("lost_mode", "memorised")),
    "recall": Metric(recall, "data", "", 1, ("shift", "lost_mode", "memorised"), ("outliers",)),
    "one_nn_accuracy": Metric(one_nn_accuracy, "data", "", 0.5, ("shift", "memorised"), ("blur", "outliers")),
    "strong_error": Metric(strong_error, "flow", "", 0, DEFECTS, ()),
}

# Samples are as good as perfect ones if each of these says so: one that sees blur, one lost mass, one stray particles.
PANEL = ("excess_nll", "sliced_w2", "outlier_share")


def nearest_distance(samples: Tensor, training: Tensor, truth: Tensor) -> Measured:
    """Median distance from samples [n, D] to the nearest of the training points [N, D], in their units.

    The floor is the same distance for fresh data, truth [m, D]: a model whose samples lie much closer has memorised its
    training points. Its range is that of the median of n fresh points, which lies between the quantiles 1/2 ± 0.98 /
    sqrt(n) in 95 % of cases.
    """
    near, fresh = (torch.cdist(x.double(), training.double()).amin(1) for x in (samples, truth))
    n, half = len(samples), 0.5 * WITHIN / len(samples) ** 0.5
    ranks = torch.tensor([0.5, 0.5 - half, 0.5 + half], dtype=torch.float64).clamp(0, 1)
    return Measured(near.median().item(), *Floor(*fresh.quantile(ranks).tolist()), n)


def moment_deviation(a: Tensor, b: Tensor) -> float:
    """Largest difference of the first and second moments of two clouds of the same n particles, in standard errors.

    a, b: [n, D]. Differences are taken particle by particle, which cancels the noise that both share. The result is the
    largest |z| of the D means and the D (D + 1) / 2 second moments: a few units when the distributions agree (in 2-D,
    above 3 in one case of 75).
    """
    i, j = torch.triu_indices(a.shape[1], a.shape[1])
    a, b = (torch.cat([x, x[:, i] * x[:, j]], -1).to(torch.float64) for x in (a, b))
    difference = a - b  # [n, D + D (D + 1) / 2]
    z = difference.mean(0).abs() / (difference.std(0) / len(a) ** 0.5)
    return z.nan_to_num(nan=0.0, posinf=math.inf).max().item()  # 0 / 0: no difference at all
