"""Distances between two clouds: optimal transport, sums over pairs of points, nearest neighbours.

Called as distance(a, b), a the samples and b as much data; written as @two_sample of `intervals` needs them, as their
values under R ways `first` [R, N] to say which of the pooled points [N, D] are a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_core.metrics.intervals import Measured, two_sample


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|, [n, m]; between equal points exactly zero, as it would not be from |x|^2 - 2 xy + |y|^2."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


# ---- optimal transport ---------------------------------------------------------------------------------------------


@two_sample(equal=True, most=2000, shuffles=3)
def exact_w2(points: Tensor, first: Tensor, *, stop: Callable[[], bool] = lambda: False) -> Tensor:
    """2-Wasserstein distance of a and b, both [n, D], n at most 2,000, in their units.

    The root of the smallest mean squared distance over all ways to pair a with b (Peyre & Cuturi 2019, eq. 2.2), by
    assignment. Sees shift and lost mass; blind to blur, and to outliers that stay near, as both cost less than what
    sampling costs anyway: the floor falls slowly, as sqrt(log n / n) in the plane. Time grows as n^3: at 2,000 half a
    second an assignment, of which a value with its floor takes four, and a band as many as it has repeats.

    stop: asked before each assignment whether to give up, as an event's `is_set`; then it raises CancelledError.
    """
    # imported here, since it takes half a second and this metric alone needs it
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

    The root mean square, over fixed random directions, of the 1-D optimal transport cost, which is a sort. Sees shift
    and lost mass; blind to blur and to outliers that stay near.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(projections, points.shape[1], generator=generator, dtype=torch.float64)
    sorted_ = (torch.nn.functional.normalize(directions, dim=1) @ points.mT).sort(dim=1)  # [projections, 2n]
    shadows, order = (part.flatten().numpy() for part in sorted_)  # numpy: picking by a mask is four times faster
    gaps = []
    for mine in first.numpy():
        of_a = mine[order]  # what is sorted once stays sorted, whichever half is taken from it
        gap = np.compress(of_a, shadows) - np.compress(~of_a, shadows)
        gaps.append((gap @ gap / len(gap)) ** 0.5)
    return torch.tensor(gaps, dtype=torch.float64)


# ---- sums over pairs -----------------------------------------------------------------------------------------------


def _pair_sums(points: Tensor, first: Tensor, kernel: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of kernel(|x - y|) over ordered pairs within a, within b, and over a x b, self-pairs counted; [R] each.

    With u = 1 on a, 0 on b they are u^T K u, the rest of the total, and u^T K 1 - u^T K u: more ways to choose a cost
    more columns of u, not more distances, and K is never held as a whole.
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

    Sees shift and lost mass; blind to blur and to outliers that stay near. Time grows as (n + m)^2.
    """
    n, m = _sizes(first)
    aa, bb, ab = _pair_sums(points, first, lambda distance: distance)
    return 2 * ab / (n * m) - aa / n**2 - bb / m**2


@two_sample()
def mmd(points: Tensor, first: Tensor, *, bandwidth: float = 0.5) -> Tensor:
    """Squared maximum mean discrepancy of a [n, D] and b [m, D], without unit (Gretton et al. 2012, eq. 3: unbiased).

    E k(A, A') + E k(B, B') - 2 E k(A, B) with k = exp(-|x - y|^2 / (2 bandwidth^2)): two densities blurred by about the
    bandwidth, in units of the data, and compared. Zero on average for equal laws, so half the time negative. Sees shift
    and lost mass; blind to blur and outliers that are small beside the bandwidth. Time grows as (n + m)^2.
    """
    n, m = _sizes(first)
    aa, bb, ab = _pair_sums(points, first, lambda distance: (distance.square_() / (-2 * bandwidth**2)).exp_())
    return (aa - n) / (n * (n - 1)) + (bb - m) / (m * (m - 1)) - 2 * ab / (n * m)


# ---- nearest neighbours --------------------------------------------------------------------------------------------


def _neighbours(points: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Distances to the `reach` nearest other points, rising, and who they are; [N, reach] each."""
    found = []
    for rows in torch.arange(len(points)).split(1024):
        distance = _distances(points[rows], points)
        distance[torch.arange(len(rows)), rows] = math.inf
        found.append(distance.topk(reach, largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


@two_sample()
def one_nn_accuracy(points: Tensor, first: Tensor) -> Tensor:
    """How often a point's nearest neighbour is from its own cloud, for a [n, D] and b [m, D] (Lopez-Paz & Oquab 2017).

    The accuracy of a 1-nearest-neighbour classifier, leave-one-out: 1/2 for equal laws and n = m, towards 1 where the
    clouds can be told apart or a repeats points, towards 0 where a copies b. Sees shift, and points that repeat; blind
    to outliers, which are few, and to small blur.
    """
    _, nearest = _neighbours(points, 1)
    return (first[:, nearest[:, 0]] == first).double().mean(1)


@two_sample()
def precision(points: Tensor, first: Tensor, *, k: int = 5) -> Tensor:
    """Share of a [n, D] inside the manifold of b [m, D]: the balls of b's points that reach their k-th nearest in b.

    (Kynkaanniemi et al. 2019, eq. 1 and 2.) Its floor is just below 1. Sees blur, shift and outliers; blind to a lost
    mode and to points that repeat. ValueError unless b has more than k points.
    """
    return _inside(points, first, k, reach=16 * k)


@two_sample()
def recall(points: Tensor, first: Tensor, *, k: int = 5) -> Tensor:
    """Share of b [m, D] inside the manifold of a [n, D]: the precision of b against a.

    Sees shift, a lost mode and points that repeat; blind to outliers, and even rises with blur, which makes the
    manifold of a larger. ValueError unless a has more than k points.
    """
    return _inside(points, ~first, k, reach=16 * k)


class PrecisionRecall(NamedTuple):
    precision: Measured
    recall: Measured


def precision_recall(a: Tensor, b: Tensor, *, k: int = 5) -> PrecisionRecall:
    """Both: how much of what is made is real, and how much of what is real is made."""
    return PrecisionRecall(precision(a, b, k=k), recall(a, b, k=k))


def _inside(points: Tensor, first: Tensor, k: int, reach: int) -> Tensor:
    """Share of a inside b's manifold, [R], from the `reach` nearest neighbours of each point, or more where needed."""
    n, m = _sizes(first)
    if m <= k:
        raise ValueError(f"a manifold of {k} nearest neighbours needs more than {k} points, got {m}")
    reach = min(reach, len(points) - 1)
    distance, near = _neighbours(points, reach)
    beyond = torch.cat([distance, torch.full_like(distance[:, :1], math.inf)], 1)
    shares = []
    for mine in first:
        of_a, theirs = mine[near[~mine]], distance[~mine]  # [m, reach]: the neighbours of b's points
        kth = ((~of_a).cumsum(1) < k).sum(1, keepdim=True)  # [m, 1]: place of the k-th of b, `reach` if there is none
        radius = beyond[~mine].gather(1, kth)
        if (radius >= theirs[:, -1:]).any() and reach < len(points) - 1:
            shares.append(_inside(points, mine[None], k, 4 * reach))
        else:
            hits = near[~mine][of_a & (theirs <= radius)].unique()
            shares.append(torch.tensor([len(hits) / n], dtype=torch.float64))
    return torch.cat(shares)
