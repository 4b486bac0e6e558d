"""Distances between two clouds: optimal transport, sums over pairs of points, nearest neighbours.

Called as distance(a, b), with samples a and data b. Written for @two_sample of `intervals`: a function of the pooled
points [N, D] and of R assignments `first` [R, N], which are true where a point belongs to a; it returns R values.
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


@two_sample(equal=True, most=2000, shuffles=3)
def exact_w2(points: Tensor, first: Tensor, *, stop: Callable[[], bool] = lambda: False) -> Tensor:
    """2-Wasserstein distance of a and b, both [n, D], n at most 2,000, in their units.

    The root of the smallest mean squared distance over all pairings of a with b (Peyre & Cuturi 2019, eq. 2.2), solved
    as an assignment problem. Detects shift and missing mass. Misses blur and nearby outliers, which cost less than the
    floor: that falls slowly with n, as sqrt(log n / n) in the plane. Time grows as n^3: one assignment of 2,000 points
    takes half a second; a value with its floor takes four, a band one per repeat.

    stop: called before each assignment; CancelledError if it returns true.
    """
    # imported here, because the import takes half a second and only this metric needs it
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # noqa: PLC0415

    values = []
    for mine in first:
        if stop():
            raise CancelledError("exact_w2 was stopped")
        cost = _distances(points[mine], points[~mine]).square().numpy()  # [n, n]
        values.append(cost[linear_sum_assignment(cost)].mean() ** 0.5)
    return torch.tensor(values, dtype=torch.float64)


@two_sample(equal=True)
def sliced_w2(points: Tensor, first: Tensor, *, projections: int = 128) -> Tensor:
    """Sliced 2-Wasserstein distance of a and b, both [n, D], in their units (Bonneel et al. 2015).

    The root mean square, over fixed random directions, of the 1-D optimal transport distance, which takes only sorting.
    Detects shift and missing mass. Misses blur and nearby outliers.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(projections, points.shape[1], generator=generator, dtype=torch.float64)
    sorted_ = (torch.nn.functional.normalize(directions, dim=1) @ points.mT).sort(dim=1)  # [projections, 2n]
    shadows, order = (part.flatten().numpy() for part in sorted_)  # numpy selects by a mask four times as fast
    gaps = []
    for mine in first.numpy():
        of_a = mine[order]  # any subset of sorted numbers is sorted
        gap = np.compress(of_a, shadows) - np.compress(~of_a, shadows)
        gaps.append((gap @ gap / len(gap)) ** 0.5)
    return torch.tensor(gaps, dtype=torch.float64)


# ---- sums over pairs -----------------------------------------------------------------------------------------------


def _pair_sums(points: Tensor, first: Tensor, kernel: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of kernel(|x - y|) over ordered pairs within a, within b, and over a x b, self-pairs counted; [R] each.

    With u = 1 on a and 0 on b they are u^T K u, the rest of the total, and u^T K 1 - u^T K u. More assignments need
    more columns of u, not more distances; K is never stored as a whole.
    """
    u = torch.cat([first, torch.ones_like(first[:1])]).to(points).mT.contiguous()  # [N, R + 1]
    within = reached = torch.zeros((), dtype=u.dtype)
    for x, part in zip(points.split(1024), u.split(1024), strict=True):
        pull = kernel(_distances(x, points)) @ u  # [1024, R + 1]
        within = within + (part * pull).sum(0)
        reached = reached + (part * pull[:, -1:]).sum(0)
    (aa, total), (a_all, _) = (sums.split([len(first), 1]) for sums in (within, reached))
    return aa, total - 2 * a_all + aa, a_all - aa


def _sizes(first: Tensor) -> tuple[int, int]:  # n, m
    n = int(first[0].sum())
    return n, first.shape[1] - n


@two_sample()
def energy_distance(points: Tensor, first: Tensor) -> Tensor:
    """2 E|A - B| - E|A - A'| - E|B - B'| for a [n, D], b [m, D], in their units (Szekely & Rizzo 2013); never negative.

    Detects shift and missing mass. Misses blur and nearby outliers. Time grows as (n + m)^2.
    """
    n, m = _sizes(first)
    aa, bb, ab = _pair_sums(points, first, lambda distance: distance)
    return 2 * ab / (n * m) - aa / n**2 - bb / m**2


@two_sample()
def mmd(points: Tensor, first: Tensor, *, bandwidth: float = 0.5) -> Tensor:
    """Squared maximum mean discrepancy of a [n, D] and b [m, D], without unit (Gretton et al. 2012, eq. 3: unbiased).

    E k(A, A') + E k(B, B') - 2 E k(A, B) with k = exp(-|x - y|^2 / (2 bandwidth^2)). It compares the two densities
    after blurring both by about the bandwidth, which is in units of the data. Zero on average for equal distributions,
    so negative half of the time. Detects shift and missing mass. Misses blur and outliers smaller than the bandwidth.
    Time grows as (n + m)^2.
    """
    n, m = _sizes(first)
    aa, bb, ab = _pair_sums(points, first, lambda distance: (distance.square_() / (-2 * bandwidth**2)).exp_())
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
def one_nn_accuracy(points: Tensor, first: Tensor) -> Tensor:
    """How often a point's nearest neighbour is from its own cloud, for a [n, D] and b [m, D] (Lopez-Paz & Oquab 2017).

    The leave-one-out accuracy of a 1-nearest-neighbour classifier: 1/2 for equal distributions and n = m, towards 1 if
    the clouds can be told apart or a repeats points, towards 0 if a copies b. Detects shift and repeated points. Misses
    a few outliers, and small blur.
    """
    _, nearest = _neighbours(points, 1)
    return (first[:, nearest[:, 0]] == first).double().mean(1)


@two_sample()
def precision(points: Tensor, first: Tensor, *, k: int = 5) -> Tensor:
    """Share of a [n, D] inside the manifold of b [m, D] (Kynkaanniemi et al. 2019, eq. 1 and 2).

    The manifold is the union of balls around the points of b, each reaching to its k-th nearest neighbour in b. The
    floor is just below 1. Detects blur, shift and outliers. Misses a missing mode and repeated points. ValueError
    unless b has more than k points.
    """
    return _inside(points, first, k, reach=16 * k)


@two_sample()
def recall(points: Tensor, first: Tensor, *, k: int = 5) -> Tensor:
    """Share of b [m, D] inside the manifold of a [n, D]: the precision of b against a.

    Detects shift, a missing mode and repeated points. Misses outliers, and rises with blur, which makes the manifold
    of a larger. ValueError unless a has more than k points.
    """
    return _inside(points, ~first, k, reach=16 * k)


def _inside(points: Tensor, first: Tensor, k: int, reach: int) -> Tensor:
    """Share of a inside b's manifold, [R], from the `reach` nearest neighbours of each point, or more if needed."""
    n, m = _sizes(first)
    if m <= k:
        raise ValueError(f"a manifold of {k} nearest neighbours needs more than {k} points, got {m}")
    reach = min(reach, len(points) - 1)
    distance, near = _neighbours(points, reach)
    beyond = torch.cat([distance, torch.full_like(distance[:, :1], math.inf)], 1)
    shares = []
    for mine in first:
        of_a, theirs = mine[near[~mine]], distance[~mine]  # [m, reach]: the neighbours of b's points
        kth = ((~of_a).cumsum(1) < k).sum(1, keepdim=True)  # [m, 1]: rank of the k-th of b, `reach` if there is none
        radius = beyond[~mine].gather(1, kth)
        if (radius >= theirs[:, -1:]).any() and reach < len(points) - 1:
            shares.append(_inside(points, mine[None], k, 4 * reach))
        else:
            hits = near[~mine][of_a & (theirs <= radius)].unique()
            shares.append(torch.tensor([len(hits) / n], dtype=torch.float64))
    return torch.cat(shares)
