"""Every metric of the registry against POT, scipy or brute force; and whether perfect samples stay in their range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from unittest import mock

import numpy as np
import ot
import torch
from scipy.spatial.distance import cdist

from audit import by_paper
from audit.law import Array, Law, drawn, torch_of
from audit.row import Row, compared, missing
from audit.walk import Walk
from ddpm_core import METRICS, exact_flow
from ddpm_core.metrics.registry import ENTROPY_SAMPLES, OUTSIDE, Metric

POINTS, SIGMAS = 200, 4.5  # points of a cloud; standard errors that chance may cost in a row
LAWS, CLOUDS = 8, 30  # drawn for the ranges: mixtures, and perfect clouds of each


# ---- two clouds ----


def transported(a: Array, b: Array) -> float:
    """By network simplex."""
    return float(ot.emd2([], [], cdist(a, b, "sqeuclidean")) ** 0.5)


def within(x: Array, of: Callable[[Array], Array]) -> float:
    """Mean over pairs of different points."""
    return float(of(cdist(x, x))[~np.eye(len(x), dtype=bool)].mean())


def energy(a: Array, b: Array) -> float:
    return float(2 * cdist(a, b).mean()) - within(a, np.array) - within(b, np.array)


def kernel_distance(a: Array, b: Array) -> float:
    kernel = lambda d: np.exp(-(d**2) / (2 * 0.5**2))  # noqa: E731
    return within(a, kernel) + within(b, kernel) - 2 * float(kernel(cdist(a, b)).mean())


def covered(a: Array, b: Array) -> float:
    """Share of a within reach of a point of b, which is the distance to its fifth nearest other one."""
    reach = np.sort(cdist(b, b), axis=1)[:, 5]
    return float((cdist(a, b) <= reach).any(1).mean())


def own_kind(a: Array, b: Array) -> float:
    """How often the nearest other point is of the same cloud."""
    distance = cdist(np.concatenate([a, b]), np.concatenate([a, b]))
    np.fill_diagonal(distance, np.inf)
    is_a = np.arange(len(distance)) < len(a)
    return float((is_a[distance.argmin(1)] == is_a).mean())


TWO_CLOUDS: dict[str, tuple[str, Callable[[Array, Array], float]]] = {
    "exact_w2": ("POT emd2", transported),
    "energy_distance": ("scipy cdist", energy),
    "mmd": ("scipy cdist", kernel_distance),
    "precision": ("brute force", covered),
    "recall": ("brute force", lambda a, b: covered(b, a)),
    "one_nn_accuracy": ("brute force", own_kind),
}


def sliced(metric: Metric, a: Array, b: Array) -> Iterator[Row]:
    """On the directions that it takes, which are recorded; and over all directions of the plane."""
    value = metric.measure.value  # type: ignore[union-attr]
    with mock.patch("torch.nn.functional.normalize", side_effect=torch.nn.functional.normalize) as made:
        ours = value(torch_of(a), torch_of(b))
    directions = torch.nn.functional.normalize(made.call_args.args[0], dim=1)
    theirs = float(ot.sliced_wasserstein_distance(a, b, projections=directions.T.numpy(), p=2))
    yield compared("sliced_w2, its directions", "POT", ours, theirs, 1e-10)
    angle = np.arange(2000) / 2000 * np.pi
    every = float(ot.sliced_wasserstein_distance(a, b, projections=np.stack([np.cos(angle), np.sin(angle)]), p=2))
    many = value(torch_of(a), torch_of(b), projections=10_000)
    yield compared("sliced_w2, 10,000 directions", "POT, 2,000 angles", many, every, 0.03 * every)


# ---- a cloud and the law, or the flow ----


def surprise(law: Law, rng: np.random.Generator) -> Array:
    """-log p of 200,000 points of the law, by scipy."""
    return -law.log_density(law.sample(200_000, rng))


def excess(metric: Metric, law: Law, rng: np.random.Generator, x: Array) -> Iterator[Row]:
    nll = surprise(law, rng)
    error = nll.std() * (1 / len(nll) + 1 / ENTROPY_SAMPLES) ** 0.5
    ours = metric.measure(torch_of(x), law.ours).value
    theirs = float(-law.log_density(x).mean() - nll.mean())
    yield compared("excess_nll", "scipy.stats", ours, theirs, SIGMAS * error)


def outliers(metric: Metric, law: Law, rng: np.random.Generator, x: Array) -> Iterator[Row]:
    """What either border may be off by, counted in points of x."""
    known = surprise(law, rng)
    nll, spread = -law.log_density(x), (OUTSIDE / ENTROPY_SAMPLES + OUTSIDE / len(known)) ** 0.5

    def share(outside: float) -> float:
        return float((nll > np.quantile(known, 1 - outside)).mean())

    low, middle, high = (share(OUTSIDE + k * spread) for k in (-SIGMAS, 0, SIGMAS))
    ours = metric.measure(torch_of(x), law.ours).value
    yield compared("outlier_share", "scipy.stats", ours, middle, max(high - middle, middle - low) + 1e-12)


def coverage(metric: Metric, law: Law, rng: np.random.Generator, x: Array) -> Iterator[Row]:
    ours = metric.measure(torch_of(x), law.ours).value
    theirs = float(np.abs(law.shares(x).mean(0) - law.weights).sum() / 2)
    yield compared("mode_coverage", "Bayes' rule in numpy", ours, theirs, 1e-9)


def strong(metric: Metric, law: Law, rng: np.random.Generator, x: Array) -> Iterator[Row]:
    """Of ten steps of DDIM; where the flow divides, both flows are only as exact as they are."""
    walk = Walk.on("flow", law, rng, len(x))
    samples, start = walk.ours("ddim", {}), torch_of(walk.start)
    off = np.linalg.norm(samples - by_paper.exact(walk)[-1], axis=1)
    end_points = exact_flow(law.ours, start, walk.schedule)
    ours = metric.measure(torch_of(samples), end_points).value  # type: ignore[arg-type]
    theirs = float(np.sqrt(np.square(off).mean()))
    yield compared("strong_error", "scipy DOP853", ours, theirs, 1e-3)


ONE_CLOUD = {"excess_nll": excess, "outlier_share": outliers, "mode_coverage": coverage, "strong_error": strong}


# ---- all ----


def rows(rng: np.random.Generator, metrics: Mapping[str, Metric] = METRICS) -> Iterator[Row]:
    law, other = drawn(rng), drawn(rng)
    a, b, more = law.sample(POINTS, rng), other.sample(POINTS, rng), other.sample(POINTS * 3 // 2, rng)
    blurred = law.sample(20 * POINTS, rng) + 0.2 * rng.standard_normal((20 * POINTS, 2))
    for name, metric in metrics.items():
        if name == "sliced_w2":
            yield from sliced(metric, a, b)
        elif name in ONE_CLOUD:
            yield from ONE_CLOUD[name](metric, law, rng, blurred if name != "strong_error" else a)
        elif name in TWO_CLOUDS:
            judge, theirs = TWO_CLOUDS[name]
            value = metric.measure.value  # type: ignore[union-attr]
            for cloud in (b,) if name == "exact_w2" else (b, more):
                what = f"{name}, {len(a)} and {len(cloud)} points"
                yield compared(what, judge, value(torch_of(a), torch_of(cloud)), theirs(a, cloud), 1e-9)
        else:
            yield missing(name)
    for name, metric in metrics.items():
        if metric.against != "flow":
            yield from ranges(name, metric, rng)


def inside(metric: Metric, rng: np.random.Generator, laws: int = LAWS, n: int = POINTS // 2) -> tuple[float, float]:
    """Of clouds that numpy drew: the share within their range, and the median size of the value, in floors."""
    found, sizes = [], []
    for _ in range(laws):
        law = drawn(rng)
        ours = law.ours
        measured = [metric.measure(torch_of(law.sample(n, rng)), ours) for _ in range(CLOUDS)]
        found += [m.perfect for m in measured]
        sizes.append(float(np.median([abs(m.value) for m in measured])) / measured[0].floor)
    return float(np.mean(found)), float(np.mean(sizes))


def spread_of_share(laws: int = LAWS) -> float:
    """Standard error of `inside`: a range of 39 clouds holds a share Beta(38, 2), and so many clouds are drawn."""
    return (38 * 2 / (40**2 * 41) / laws + 0.95 * 0.05 / (laws * CLOUDS)) ** 0.5


def ranges(name: str, metric: Metric, rng: np.random.Generator) -> Iterator[Row]:
    share, size = inside(metric, rng)
    yield compared(f"{name}: perfect clouds in range", "fresh truth", share, 0.95, SIGMAS * spread_of_share())
    if name != "outlier_share":  # which is 0 or a few points of a hundred
        normal = 0.6745 if name == "excess_nll" else 1.0  # its floor is a standard error, theirs is a median
        yield compared(f"{name}: size of perfect clouds, in floors", "fresh truth", size, normal, 0.3)
