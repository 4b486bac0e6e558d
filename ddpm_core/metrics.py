"""Distances between samples, each with its noise floor: what equally many perfect samples would show by chance.

A distance without its n and its floor says nothing: two clouds drawn from the SAME law are never at distance zero.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .mixtures import GaussianMixture


class Measured(NamedTuple):
    value: float
    floor: float  # the size that `value` has, by chance alone, for perfect samples
    n: int


ENTROPY_SAMPLES = 100_000


@lru_cache(maxsize=64)
def _surprise(mixture: GaussianMixture) -> tuple[float, float]:
    """Mean (the entropy) and standard deviation of -log p under p itself, in nats, over ENTROPY_SAMPLES points."""
    x = mixture.sample(
        ENTROPY_SAMPLES, generator=torch.Generator().manual_seed(0)
    ).float()  # single precision is plenty for a mean
    nll = -torch.cat([mixture.log_prob(part) for part in x.split(2048)]).double()
    return nll.mean().item(), nll.std().item()


def excess_nll(samples: Tensor, mixture: GaussianMixture) -> Measured:
    """Mean of -log p over samples [n, D] minus the entropy of p, in nats; zero on average for perfect samples.

    Sees blur and outliers; does not see a lost mode, and falls below zero for samples that crowd into the densest
    places. The floor is one standard error: perfect samples stay within two of them 19 times out of 20.
    """
    entropy, spread = _surprise(mixture)
    nll = -torch.cat([mixture.log_prob(part) for part in samples.to("cpu", torch.float64).split(2048)])
    floor = spread * (1 / len(samples) + 1 / ENTROPY_SAMPLES) ** 0.5
    return Measured(nll.mean().item() - entropy, floor, len(samples))


PERMUTATIONS = (
    9  # random relabellings behind the floor of a two-sample distance; the median of an odd number is one of them
)


def sliced_w2(a: Tensor, b: Tensor, *, projections: int = 128) -> Measured:
    """Sliced 2-Wasserstein distance of a and b, both [n, D], in their units (Bonneel et al. 2015).

    The root mean square, over fixed random directions, of the 1-D optimal transport cost, which is a sort. Sees lost or
    moved mass, hardly sees blur. The floor is the median distance after shuffling which points belong to a, which to b.
    """
    if a.shape != b.shape:
        raise ValueError(f"sliced_w2 needs clouds of the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    generator = torch.Generator().manual_seed(0)
    n, D = a.shape
    directions = torch.nn.functional.normalize(
        torch.randn(projections, D, generator=generator, dtype=torch.float64), dim=1
    )
    shadows = directions @ torch.cat([a, b]).to("cpu", torch.float64).mT  # [projections, 2n]

    def distance(order: Tensor) -> float:
        first, second = shadows[:, order].split(n, dim=1)
        return (first.sort(dim=1).values - second.sort(dim=1).values).square().mean().sqrt().item()

    shuffled = [distance(torch.randperm(2 * n, generator=generator)) for _ in range(PERMUTATIONS)]
    return Measured(distance(torch.arange(2 * n)), float(torch.tensor(shuffled).median()), n)


def energy_distance(a: Tensor, b: Tensor) -> Measured:
    """2 E|A - B| - E|A - A'| - E|B - B'| for a [n, D], b [m, D], in their units (Szekely & Rizzo 2013); never negative.

    With s = 1/n on a and -1/m on b it is the quadratic form -s^T |x_i - x_j| s, so a floor by shuffling the signs costs
    a few more columns, not more distances. Sees shift, lost mass and outliers. Time grows as (n + m)^2.
    """
    generator = torch.Generator().manual_seed(0)
    points = torch.cat([a, b]).to("cpu", torch.float64)
    signs = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))]).to(points)
    orders = [torch.arange(len(points))] + [
        torch.randperm(len(points), generator=generator) for _ in range(PERMUTATIONS)
    ]
    S = torch.stack([signs[order] for order in orders], -1)  # [n + m, 1 + PERMUTATIONS]
    forms = sum(
        -(s * (torch.cdist(part, points) @ S)).sum(0) for part, s in zip(points.split(1024), S.split(1024), strict=True)
    )
    return Measured(forms[0].item(), forms[1:].median().item(), len(a))


def nearest_distance(samples: Tensor, training: Tensor, truth: Tensor) -> Measured:
    """Median distance from samples [n, D] to the nearest of the training points [N, D], in their units.

    The floor is what fresh data, truth [m, D], show: a model whose samples lie much closer recites what it was shown.
    """
    near, fresh = (torch.cdist(x.double(), training.double()).amin(1).median().item() for x in (samples, truth))
    return Measured(near, fresh, len(samples))


def moment_deviation(a: Tensor, b: Tensor) -> float:
    """How far two clouds of the SAME n particles, [n, D], differ in mean and second moments, in standard errors.

    Differences are taken particle by particle, which cancels what both share, and the largest |z| among the D means and
    the D (D + 1) / 2 second moments is returned: a few units when the laws agree (in 2-D, above 3 once in 75 times).
    """
    i, j = torch.triu_indices(a.shape[1], a.shape[1])
    a, b = (torch.cat([x, x[:, i] * x[:, j]], -1).to(torch.float64) for x in (a, b))
    difference = a - b  # [n, D + D (D + 1) / 2]
    z = difference.mean(0).abs() / (difference.std(0) / len(a) ** 0.5)
    return z.nan_to_num(nan=0.0, posinf=math.inf).max().item()  # 0 / 0: no difference at all
