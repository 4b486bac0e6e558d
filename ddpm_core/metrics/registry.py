"""All metrics, each with its noise floor: the value that equally many perfect samples show by chance.

A distance means nothing without its n and its floor, because two clouds drawn from the same distribution are never at
distance zero. No metric detects every defect: METRICS lists what each one detects and what it misses, so that two can
be chosen that complement each other.

Metrics of two clouds are in `distances`. Those in this file compare samples with what is known exactly, the density or
the flow. They are called as metric(samples, reference), and written as per-particle rows for @one_sample of
`intervals`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.metrics.distances import energy_distance, exact_w2, mmd, one_nn_accuracy, precision, recall, sliced_w2
from ddpm_core.metrics.intervals import Measured, OneSample, TwoSample, one_sample
from ddpm_core.samplers.exact_flow import ACCURACY

ENTROPY_SAMPLES = 100_000


@lru_cache(maxsize=64)
def _surprise(mixture: GaussianMixture) -> tuple[float, float]:
    """Mean (the entropy) and standard deviation of -log p under p itself, in nats, over ENTROPY_SAMPLES points."""
    x = mixture.sample(
        ENTROPY_SAMPLES, generator=torch.Generator().manual_seed(0)
    ).float()  # single precision is plenty for a mean
    nll = -torch.cat([mixture.log_prob(part) for part in x.split(2048)]).double()
    return nll.mean().item(), nll.std().item()


# ---- samples against the density, or against the exact flow --------------------------------------------------------


@one_sample(lambda mean: mean[..., 0])
def excess_nll(samples: Tensor, mixture: GaussianMixture) -> tuple[Tensor, float]:
    """Mean of -log p over samples [n, D] minus the entropy of p, in nats; zero on average for perfect samples.

    Detects blur, shift and outliers. Misses a missing mode no denser than the others, and repeated points. Negative for
    samples that concentrate where the density is highest. The floor is one standard error: 95 % of perfect samples are
    within two of them.
    """
    entropy, spread = _surprise(mixture)
    nll = -torch.cat([mixture.log_prob(part) for part in samples.to("cpu", torch.float64).split(2048)])
    return nll[:, None] - entropy, spread * (1 / len(samples) + 1 / ENTROPY_SAMPLES) ** 0.5


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


@lru_cache(maxsize=64)
def _membership_spread(mixture: GaussianMixture) -> Tensor:
    """Standard deviation of P(mode | x) under the mixture; [M]."""
    return _memberships(mixture.sample(20_000, generator=torch.Generator().manual_seed(0)), mixture).std(0)


@one_sample(lambda mean: mean.abs().sum(-1) / 2, norm=True)
def mode_coverage(samples: Tensor, mixture: GaussianMixture) -> tuple[Tensor, float]:
    """Share of samples [n, D] that would have to move to another mode to make the proportions right; 0 is best.

    The total variation distance between the mean of P(mode | x) over the samples (Bayes' rule) and the weights of the
    modes; a missing mode costs its weight. Detects missing and unbalanced modes. Misses blur and anything else within a
    mode. The floor is its mean for perfect samples, sum_m E|N(0, error_m^2)| / 2 with the standard errors of the means.
    """
    deviation = _memberships(samples, mixture) - _by_mode(mixture.weights[None], mixture)
    return deviation, _membership_spread(mixture).sum().item() / (2 * math.pi * len(samples)) ** 0.5


@one_sample(lambda mean: mean[..., 0].sqrt())
def strong_error(samples: Tensor, exact: Tensor) -> tuple[Tensor, float]:
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
    return (samples.to(exact) - exact).square().sum(-1, keepdim=True), ACCURACY


# ---- the registry --------------------------------------------------------------------------------------------------


class Metric(NamedTuple):
    measure: TwoSample | OneSample  # measure(samples, reference) -> Measured
    against: str  # `reference` is points of the "data" [m, D], the "mixture", or end points of the exact "flow" [n, D]
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


def nearest_distance(samples: Tensor, training: Tensor, truth: Tensor) -> Measured:
    """Median distance from samples [n, D] to the nearest of the training points [N, D], in their units.

    The floor is the same distance for fresh data, truth [m, D]: a model whose samples lie much closer has memorised its
    training points.
    """
    near, fresh = (torch.cdist(x.double(), training.double()).amin(1).median().item() for x in (samples, truth))
    return Measured(near, fresh, len(samples))


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
