"""Distances between two clouds: optimal transport, sums over pairs of points, nearest neighbours.

`distance(samples, mixture)` compares samples with as many points of the data, `distance.value(a, b)` any two clouds, a
[n, D] and b [m, D]. Written for @two_sample of `intervals`, which asks for the real division into a and b and for
shuffled ones in one call, as a function that returns R values of

    pooled [N, D]       the points of both clouds, N = n + m
    is_a   [R, N] bool  R ways to divide them: which points make up a
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import CancelledError

import numpy as np
import torch
from torch import Tensor

from ddpm_core.metrics.intervals import two_sample


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|, [n, m]. Exactly zero between equal points, unlike |x|^2 - 2 xy + |y|^2."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


# ---- optimal transport ---------------------------------------------------------------------------------------------


@two_sample(equal=True, most=2000)
def exact_w2(pooled: Tensor, is_a: Tensor, *, stop: Callable[[], bool] = lambda: False) -> Tensor:
    """2-Wasserstein distance of a and b, both [n, D], n at most 2,000, in their units.

    The root of the smallest mean squared distance over all pairings of a with b (Peyre & Cuturi 2019, eq. 2.2), solved
    as an assignment problem. Detects shift and missing mass. Misses blur and nearby outliers, which cost less than the
    floor: that falls slowly with n, as sqrt(log n / n) in the plane. Time grows as n^3: one assignment of 2,000 points
    takes half a second, and a floor 39 of them.

    stop: called before each assignment; CancelledError if it returns true.
    """
    # imported here, because the import takes half a second and only this metric needs it
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # noqa: PLC0415

    values = []
    for row in is_a:
        if stop():
            raise CancelledError("exact_w2 was stopped")
        cost = _distances(pooled[row], pooled[~row]).square().numpy()  # [n, n]
        values.append(cost[linear_sum_assignment(cost)].mean() ** 0.5)
    return torch.tensor(values, dtype=torch.float64)


@two_sample(equal=True)
def sliced_w2(pooled: Tensor, is_a: Tensor, *, projections: int = 128) -> Tensor:
    """Sliced 2-Wasserstein distance of a and b, both [n, D], in their units (Bonneel et al. 2015).

    The root mean square, over fixed random directions, of the 1-D optimal transport distance, which takes only sorting.
    Detects shift and missing mass. Misses blur and nearby outliers.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(projections, pooled.shape[1], generator=generator, dtype=torch.float64)
    shadows = (pooled @ torch.nn.functional.normalize(directions, dim=1).mT).numpy()  # [2n, projections]
    gaps = []
    for row in is_a.numpy():
        a, b = (np.sort(shadows[part].T, axis=1) for part in (row, ~row))  # numpy sorts much faster than torch
        gaps.append(np.square(a - b).mean() ** 0.5)
    return torch.tensor(gaps, dtype=torch.float64)


# ---- sums over pairs -----------------------------------------------------------------------------------------------


def _pair_sums(pooled: Tensor, is_a: Tensor, kernel: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of kernel(|x - y|) over ordered pairs within a, within b, and over a x b, self-pairs counted; [R] each.

    With u = 1 on a and 0 on b they are u^T K u, the rest of the total, and u^T K 1 - u^T K u. More assignments need
    more columns of u, not more distances; K is never stored as a whole.
    """
    u = torch.cat([is_a, torch.ones_like(is_a[:1])]).to(pooled).mT.contiguous()  # [N, R + 1]
    within = reached = torch.zeros((), dtype=u.dtype)
    for x, part in zip(pooled.split(1024), u.split(1024), strict=True):
        pull = kernel(_distances(x, pooled)) @ u  # [1024, R + 1]
        within = within + (part * pull).sum(0)
        reached = reached + (part * pull[:, -1:]).sum(0)
    (aa, total), (a_all, _) = (sums.split([len(is_a), 1]) for sums in (within, reached))
    return aa, total - 2 * a_all + aa, a_all - aa


def _sizes(is_a: Tensor) -> tuple[int, int]:  # n, m
    n = int(is_a[0].sum())
    return n, is_a.shape[1] - n


@two_sample()
def energy_distance(pooled: Tensor, is_a: Tensor) -> Tensor:
    """2 E|A - B| - E|A - A'| - E|B - B'| for a [n, D], b [m, D], in their units (Szekely & Rizzo 2013): unbiased.

    Zero on average for equal distributions, so negative half of the time. Detects shift and missing mass. Misses blur
    and nearby outliers. Time grows as (n + m)^2. ValueError unless both clouds have at least 2 points.
    """
    n, m = _sizes(is_a)
    if min(n, m) < 2:
        raise ValueError(f"energy_distance needs at least 2 points in each cloud; got {n}, {m}")
    aa, bb, ab = _pair_sums(pooled, is_a, lambda distance: distance)
    return 2 * ab / (n * m) - aa / (n * (n - 1)) - bb / (m * (m - 1))


@two_sample()
def mmd(pooled: Tensor, is_a: Tensor, *, bandwidth: float = 0.5) -> Tensor:
    """Squared maximum mean discrepancy of a [n, D] and b [m, D], without unit (Gretton et al. 2012, eq. 3: unbiased).

    E k(A, A') + E k(B, B') - 2 E k(A, B) with k = exp(-|x - y|^2 / (2 bandwidth^2)). It compares the two densities
    after blurring both by about the bandwidth, which is in units of the data. Zero on average for equal distributions,
    so negative half of the time. Detects shift and missing mass. Misses blur and outliers smaller than the bandwidth.
    Time grows as (n + m)^2.
    """
    n, m = _sizes(is_a)
    aa, bb, ab = _pair_sums(pooled, is_a, lambda distance: (distance.square_() / (-2 * bandwidth**2)).exp_())
    return (aa - n) / (n * (n - 1)) + (bb - m) / (m * (m - 1)) - 2 * ab / (n * m)


# ---- nearest neighbours --------------------------------------------------------------------------------------------


def _neighbours(points: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Distances to the `reach` nearest other points, ascending, and their indices; [N, reach] each."""
    found = []
    for rows in torch.arange(len(points)).split(1024):
        distance = _distances(points[rows], points)
        distance[torch.arange(len(rows)), rows] = math.inf
        found.append(distance.topk(reach, largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


@two_sample()
def one_nn_accuracy(pooled: Tensor, is_a: Tensor) -> Tensor:
    """How often a point's nearest neighbour is from its own cloud, for a [n, D] and b [m, D] (Lopez-Paz & Oquab 2017).

    The leave-one-out accuracy of a 1-nearest-neighbour classifier: 1/2 for equal distributions and n = m, towards 1 if
    the clouds can be told apart or a repeats points, towards 0 if a copies b. Detects shift and repeated points. Misses
    a few outliers, and small blur.
    """
    _, nearest = _neighbours(pooled, 1)
    return (is_a[:, nearest[:, 0]] == is_a).double().mean(1)


@two_sample()
def precision(pooled: Tensor, is_a: Tensor, *, k: int = 5) -> Tensor:
    """Share of a [n, D] inside the manifold of b [m, D] (Kynkaanniemi et al. 2019, eq. 1 and 2).

    The manifold is the union of balls around the points of b, each reaching to its k-th nearest neighbour in b. The
    floor is just below 1. Detects blur, shift and outliers. Misses a missing mode and repeated points. ValueError
    unless b has more than k points.
    """
    return _inside(pooled, is_a, k, reach=16 * k)


@two_sample()
def recall(pooled: Tensor, is_a: Tensor, *, k: int = 5) -> Tensor:
    """Share of b [m, D] inside the manifold of a [n, D]: the precision of b against a.

    Detects shift, a missing mode and repeated points. Misses outliers, and rises with blur, which makes the manifold
    of a larger. ValueError unless a has more than k points.
    """
    return _inside(pooled, ~is_a, k, reach=16 * k)


def _inside(pooled: Tensor, is_a: Tensor, k: int, reach: int) -> Tensor:
    """Share of a inside b's manifold, [R], from the `reach` nearest neighbours of each point, or more if needed."""
    n, m = _sizes(is_a)
    if m <= k:
        raise ValueError(f"a manifold of {k} nearest neighbours needs more than {k} points, got {m}")
    reach = min(reach, len(pooled) - 1)
    distance, near = _neighbours(pooled, reach)
    beyond = torch.cat([distance, torch.full_like(distance[:, :1], math.inf)], 1)
    shares = []
    for row in is_a:
        of_a, theirs = row[near[~row]], distance[~row]  # [m, reach]: the neighbours of b's points
        kth = ((~of_a).cumsum(1) < k).sum(1, keepdim=True)  # [m, 1]: rank of the k-th of b, `reach` if there is none
        radius = beyond[~row].gather(1, kth)
        if (radius >= theirs[:, -1:]).any() and reach < len(pooled) - 1:
            shares.append(_inside(pooled, row[None], k, 4 * reach))
        else:
            hits = near[~row][of_a & (theirs <= radius)].unique()
            shares.append(torch.tensor([len(hits) / n], dtype=torch.float64))
    return torch.cat(shares)
