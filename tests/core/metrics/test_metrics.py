import subprocess
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

import numpy as np
import ot
import pytest
import torch
from core_common import normal
from scipy import spatial, stats

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, energy_distance, excess_nll, sliced_w2
from ddpm_core.metrics.distances import exact_w2, mmd, one_nn_accuracy, precision, recall
from ddpm_core.metrics.intervals import CLOUDS, permutation_band
from ddpm_core.metrics.registry import (
    DEFECTS,
    ENTROPY_SAMPLES,
    METRICS,
    mode_coverage,
    moment_deviation,
    outlier_share,
    strong_error,
)
from ddpm_core.samplers.exact_flow import ACCURACY

EIGHT, ROLL = DATASETS["eight_gaussians"](), DATASETS["swiss_roll"]()
TWO_SAMPLE = {name: m.measure for name, m in METRICS.items() if m.against == "data"}
DISTANCES = {name: TWO_SAMPLE[name] for name in ("exact_w2", "sliced_w2", "energy_distance")}  # zero for equal clouds

distances = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
two_sample = pytest.mark.parametrize("metric", TWO_SAMPLE.values(), ids=TWO_SAMPLE)


def truth(mixture, n, seed):
    return mixture.sample(n, generator=torch.Generator().manual_seed(seed))


# ---- agreement with independent libraries ----


def test_sliced_w2_agrees_with_pot(monkeypatch):
    """On the same directions, which are recorded as they are made."""
    recorded, normalize = [], torch.nn.functional.normalize

    def recording(*args, **kwargs):
        recorded.append(normalize(*args, **kwargs))
        return recorded[-1]

    monkeypatch.setattr(torch.nn.functional, "normalize", recording)
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    value = sliced_w2.value(a, b, projections=50)
    (directions,) = recorded
    assert directions.shape == (50, 2)
    expected = ot.sliced_wasserstein_distance(a.numpy(), b.numpy(), projections=directions.T.numpy(), p=2)
    assert value == pytest.approx(expected, rel=1e-10)


def test_sliced_w2_is_exact_on_a_line():
    """In one dimension every direction is the line itself: it is W2, by POT; a shift by c costs |c|."""
    a, b = normal(200, 1), 3 * normal(200, 1, seed=2) + 1
    squared = ot.wasserstein_1d(a[:, 0].numpy(), b[:, 0].numpy(), p=2)
    assert sliced_w2.value(a, b) == pytest.approx(squared**0.5, rel=1e-10)
    assert sliced_w2.value(a, a - 1.7) == pytest.approx(1.7, rel=1e-10)


@pytest.mark.parametrize("m", [150, 200, 1500])
def test_energy_distance_agrees_with_scipy(m):
    """scipy's is the square root, one-dimensional, and counts each point as a pair with itself."""
    a, b = normal(200, 1), 2 * normal(m, 1, seed=2) + 0.5
    itself = sum(spatial.distance.cdist(x, x).mean() / (len(x) - 1) for x in (a, b))
    theirs = stats.energy_distance(a[:, 0], b[:, 0]) ** 2
    assert energy_distance.value(a, b) == pytest.approx(theirs - itself, rel=1e-6)


def test_energy_distance_is_its_definition():
    """By scipy's pairwise distances; ours goes block by block."""
    a, b = truth(ROLL, 1300, 1).numpy(), truth(EIGHT, 700, 2).numpy()
    mean = lambda x, y: spatial.distance.cdist(x, y).mean()  # noqa: E731
    within = lambda x: mean(x, x) * len(x) / (len(x) - 1)  # a point is not one of its own pairs  # noqa: E731
    found = energy_distance.value(torch.from_numpy(a), torch.from_numpy(b))
    assert found == pytest.approx(2 * mean(a, b) - within(a) - within(b), rel=1e-6)


def test_excess_nll_is_a_divergence_known_in_closed_form():
    """For samples of N(m, s^2 I) under N(0, I) it is (|m|^2 + D (s^2 - 1)) / 2."""
    n, m, s = 20_000, torch.tensor([0.5, -0.2], dtype=torch.float64), 1.3
    measured = excess_nll(m + s * normal(n, 2), GaussianMixture(1.0, torch.zeros(1, 2), 1.0))
    assert measured.value == pytest.approx((m.square().sum() + 2 * (s**2 - 1)).item() / 2, abs=0.05) and measured.n == n


@pytest.mark.parametrize("D", [1, 2, 5])
def test_exact_w2_agrees_with_pot(D):
    """By network simplex instead of assignment."""
    a, b = normal(200, D), 2 * normal(200, D, seed=2) + 0.5
    cost = spatial.distance.cdist(a, b, "sqeuclidean")
    assert exact_w2.value(a, b) == pytest.approx(ot.emd2([], [], cost) ** 0.5, rel=1e-8)


def test_exact_w2_of_clouds_that_are_one_moved():
    """A shift by c costs |c|, a stretch by s costs s - 1 times the root-mean-square radius: no pairing is cheaper."""
    a, c = truth(ROLL, 300, 1), torch.tensor([0.3, -0.4], dtype=torch.float64)
    assert exact_w2.value(a, a[torch.randperm(300)] + c) == pytest.approx(0.5, rel=1e-9)
    assert exact_w2.value(a, 1.5 * a) == pytest.approx(0.5 * a.square().sum(1).mean().sqrt().item(), rel=1e-9)


def kernel_mean(x, y, h, but_itself):
    k = np.exp(-spatial.distance.cdist(x, y, "sqeuclidean") / (2 * h**2))
    return k[~np.eye(len(x), dtype=bool)].mean() if but_itself else k.mean()


@pytest.mark.parametrize("h", [0.1, 0.5, 2.0])
def test_mmd_is_its_definition(h):
    """By scipy's pairwise distances; ours goes block by block."""
    a, b = truth(ROLL, 1300, 1), truth(EIGHT, 700, 2)
    expected = kernel_mean(a, a, h, True) + kernel_mean(b, b, h, True) - 2 * kernel_mean(a, b, h, False)
    assert mmd.value(a, b, bandwidth=h) == pytest.approx(expected, rel=1e-9)


def test_mmd_is_unbiased():
    """For Gaussians of variances v, w in the plane and a kernel of bandwidth h, E k = h^2 / (h^2 + v + w)."""
    s, h = 1.4, 0.5
    mean = lambda v, w: h**2 / (h**2 + v + w)  # noqa: E731
    expected = mean(1, 1) + mean(s**2, s**2) - 2 * mean(1, s**2)
    found = [mmd.value(normal(40, 2, seed=2 * i), s * normal(40, 2, seed=2 * i + 1)) for i in range(400)]
    assert stats.ttest_1samp(found, expected).pvalue > 1e-3


def share_inside(a, b, k):
    """Share of a within reach of some point of b, whose reach is the distance to the k-th nearest other point of b."""
    reach = np.sort(spatial.distance.cdist(b, b), axis=1)[:, k]
    return (spatial.distance.cdist(a, b) <= reach).any(1).mean()


# clouds that interleave, that lie apart, of which one collapsed, and that repeat points
PAIRS = {
    "interleaved": lambda: (truth(ROLL, 300, 1), truth(ROLL, 300, 2)),
    "apart": lambda: (normal(200, 2), normal(200, 2, seed=2) + 2),
    "few and many": lambda: (normal(20, 3), normal(700, 3, seed=2)),
    "many and few": lambda: (normal(700, 3), normal(20, 3, seed=2)),
    "collapsed": lambda: (0.01 * normal(300, 2), normal(300, 2, seed=2)),
    "repeated": lambda: (normal(40, 2).repeat(8, 1), torch.cat([normal(40, 2), normal(200, 2, seed=2)])),
}


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_precision_and_recall_are_their_definitions(pair, k):
    """By sorting all distances; ours takes the k-th nearest only."""
    a, b = pair()
    assert precision.value(a, b, k=k) == pytest.approx(share_inside(a, b, k), rel=1e-12)
    assert recall.value(a, b, k=k) == pytest.approx(share_inside(b, a, k))


@pytest.mark.parametrize("pair", [pair for name, pair in PAIRS.items() if name != "repeated"])
def test_one_nn_accuracy_is_its_definition(pair):
    """By the whole matrix of distances."""
    a, b = pair()
    distance = spatial.distance.cdist(torch.cat([a, b]), torch.cat([a, b]))
    np.fill_diagonal(distance, np.inf)
    label = np.arange(len(a) + len(b)) < len(a)
    assert one_nn_accuracy.value(a, b) == pytest.approx((label[distance.argmin(1)] == label).mean())


def test_one_nn_accuracy_of_a_copy_is_zero_and_of_repeats_is_one():
    """A copy's nearest neighbour is the original, which the other cloud owns; a repeated point's is its repetition."""
    a = normal(200, 2)
    assert one_nn_accuracy.value(a, a) == 0
    assert one_nn_accuracy.value(normal(50, 2, seed=3).repeat(2, 1), a[:100] + 9) == 1


def test_the_core_loads_scipy_only_for_exact_w2():
    run = "import sys, ddpm_core.metrics; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", run], check=True)


# ---- modes ----


def mode_weights(mixture):
    """What labels weigh where there are several, and else components."""
    labels = mixture.labels if len(mixture.labels.unique()) > 1 else torch.arange(mixture.K)
    return torch.stack([mixture.weights[labels == label].sum() for label in labels.unique()])


def test_mode_coverage_counts_how_often_each_mode_is_reached():
    """Where modes lie far apart, counting by the nearest mean is the same."""
    x = truth(EIGHT, 3000, 1)
    counted = torch.bincount(torch.cdist(x, EIGHT.means).argmin(1), minlength=8) / 3000
    deviation = mode_coverage.rows(x, EIGHT)[0].mean(0)
    assert torch.allclose(deviation + 1 / 8, counted.double(), atol=2e-3)
    measured = mode_coverage(x, EIGHT)
    assert measured.value == pytest.approx(0.5 * deviation.abs().sum().item())
    assert measured.floor == pytest.approx(8 * (7 / 64 / 3000 / (2 * np.pi)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", ["two_moons", "swiss_roll", "twenty_five_gaussians", "concentric_rings"])
def test_perfect_samples_have_each_mode_in_proportion(name):
    """On average over 60 clouds, and with the floor stated; labels are the modes where there are several."""
    mixture = DATASETS[name]()
    clouds = [truth(mixture, 200, seed) for seed in range(60)]
    deviation = torch.stack([mode_coverage.rows(x, mixture)[0].mean(0) for x in clouds])
    assert deviation.shape[1] == len(mode_weights(mixture))
    z = deviation.mean(0) / deviation.std(0) * 60**0.5
    assert z.abs().max() < 4.5
    measured = [mode_coverage(x, mixture) for x in clouds]
    assert np.mean([m.value for m in measured]) == pytest.approx(measured[0].floor, rel=0.15)


@pytest.mark.parametrize("missing", [[0], [2, 5], []])
def test_missing_modes_cost_their_weight(missing):
    """So the number can be read as a share of the samples."""
    kept = [k for k in range(8) if k not in missing]
    x = truth(GaussianMixture(1.0, EIGHT.means[kept], EIGHT.covariances[kept]), 500, 1)
    found = mode_coverage.rows(x, EIGHT)[0].mean(0) + mode_weights(EIGHT)
    assert (found < 1 / 80).nonzero().flatten().tolist() == missing
    assert mode_coverage(x, EIGHT).value == pytest.approx(len(missing) / 8, abs=0.05)


# ---- strong error ----


def test_strong_error_is_the_distance_of_each_to_its_own_end():
    """Which no distance of laws sees: the same cloud in another order is far off."""
    ends = normal(500, 2)
    step = torch.tensor([0.3, -0.4])
    assert strong_error(ends, ends) == (0.0, ACCURACY, 0.0, ACCURACY, 500)
    assert strong_error(ends + step, ends).value == pytest.approx(0.5)
    assert strong_error(ends.flip(0), ends).value > 1  # the same law
    with pytest.raises(ValueError, match="one exact end point per sample"):
        strong_error(ends, ends[:100])


# ---- what makes them distances ----


@distances
def test_a_cloud_is_at_no_distance_from_itself(distance):
    """The first axiom of a distance, in whatever order the points come; unbiased, a copy is nearer than fresh data."""
    a = truth(ROLL, 500, 1)
    for same in (a, a.flip(0)):
        value = distance.value(a, same)
        assert value < distance.floor(ROLL, 500).low if distance is energy_distance else abs(value) < 1e-9


@two_sample
def test_metrics_are_repeatable_and_ignore_the_order_of_particles(metric):
    """A cloud has no order, and a number on the page must not flicker."""
    a, b = truth(ROLL, 200, 1), truth(EIGHT, 200, 2)
    assert metric(a, ROLL) == metric(a.clone(), ROLL) and metric(a, ROLL).n == 200
    assert metric.value(a.flip(0), b[torch.randperm(200)]) == pytest.approx(metric.value(a, b), rel=1e-9)


@two_sample
def test_metrics_are_symmetric_up_to_their_names(metric):
    """What a misses of b is what b misses of a."""
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    mirrored = {precision: recall, recall: precision}.get(metric, metric)
    assert metric.value(a, b) == pytest.approx(mirrored.value(b, a), rel=1e-9) and metric.value(a, b) > 0


@two_sample
def test_metrics_ignore_where_the_origin_is_and_how_the_axes_are_turned(metric):
    """Sliced W2 takes fixed directions, 128 of them: turned, it differs by a few per cent."""
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    turn, shift = torch.linalg.qr(normal(2, 2)).Q, torch.tensor([5.0, -3.0])
    assert metric.value(a + shift, b + shift) == pytest.approx(metric.value(a, b), rel=1e-9)
    tolerance = 0.05 if metric is sliced_w2 else 1e-9
    assert metric.value(a @ turn, b @ turn) == pytest.approx(metric.value(a, b), rel=tolerance)


@two_sample
def test_metrics_take_float32_and_say_when_a_point_is_lost(metric):
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    assert metric.value(a.float(), b.float()) == pytest.approx(metric.value(a, b), rel=1e-4)
    for bad in (np.nan, np.inf):
        a[7, 1] = bad
        assert np.isnan(metric.value(a, b))


@distances
def test_distances_scale_with_the_units(distance):
    """They are in standard deviations of the data, of whatever size."""
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    assert distance.value(2 * a, 2 * b) == pytest.approx(2 * distance.value(a, b), rel=1e-6)


@pytest.mark.parametrize("metric", [one_nn_accuracy, precision, recall])
def test_neighbours_do_not_care_about_the_units(metric):
    """Who is nearest does not change with the scale."""
    a, b = truth(ROLL, 300, 1), truth(ROLL, 300, 2)
    assert metric.value(3 * a, 3 * b) == metric.value(a, b)


def test_exact_w2_obeys_the_triangle_and_is_not_below_sliced():
    """A projection only shortens distances."""
    a, b, c = truth(ROLL, 200, 1), truth(EIGHT, 200, 2), normal(200, 2)
    W = exact_w2.value
    assert W(a, c) <= W(a, b) + W(b, c)
    assert sliced_w2.value(a, b) <= W(a, b)


@two_sample
def test_metrics_refuse_clouds_that_do_not_match(metric):
    for other in (torch.zeros(9, 3), torch.zeros(9)):
        with pytest.raises(ValueError, match="same shape"):
            metric.value(torch.zeros(9, 2), other)


def test_what_is_too_much_or_too_little_is_said():
    with pytest.raises(ValueError, match="exact_w2 takes at most 2,000 points; got 2,001"):
        exact_w2(torch.zeros(2001, 2), ROLL)
    for few, metric in ((5, precision), (5, recall)):
        with pytest.raises(ValueError, match="more than 5 points, got 5"):
            metric(normal(few, 2), ROLL)
    with pytest.raises(ValueError, match="at least 2 points in each cloud; got 1, 9"):
        energy_distance.value(normal(1, 2), normal(9, 2))


def test_exact_w2_stops_between_assignments():
    """A value with its floor is 40 assignments, a band one more than its repeats; after `done` of them it is over."""
    a, b, generator = truth(ROLL, 50, 1), truth(ROLL, 50, 2), torch.Generator().manual_seed(0)
    measure = {
        1 + CLOUDS: lambda stop: exact_w2(a, ROLL, stop=stop),
        10: lambda stop: permutation_band(exact_w2, a, b, repeats=9, generator=generator, stop=stop),
    }
    for assignments, run in measure.items():
        for done in (0, 2, assignments - 1):
            asked = iter([False] * done + [True])
            with pytest.raises(CancelledError):
                run(lambda asked=asked: next(asked))
            assert next(asked, None) is None
        asked = iter([False] * assignments)
        run(lambda asked=asked: next(asked))
        assert next(asked, None) is None


def test_exact_w2_is_stopped_from_another_thread():
    """An event that is set while it runs: it ends with the assignment at hand."""
    a, b, stop = truth(ROLL, 400, 1), truth(ROLL, 400, 2), threading.Event()
    generator = torch.Generator().manual_seed(0)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(permutation_band, exact_w2, a, b, repeats=2_000, generator=generator, stop=stop.is_set)
        with pytest.raises(NotYet):  # Python 3.10 has two errors of this name
            run.result(0.3)
        stop.set()
        with pytest.raises(CancelledError):
            run.result(10)


@pytest.mark.parametrize("distance", [exact_w2, sliced_w2])
def test_optimal_transport_needs_equal_clouds(distance):
    for other in (torch.zeros(4, 2), torch.zeros(5, 3)):
        with pytest.raises(ValueError, match="same shape"):
            distance.value(torch.zeros(5, 2), other)


# ---- floors ----


@pytest.mark.parametrize("n, times", [(400, 60), pytest.param(2000, 600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mixture", [EIGHT, ROLL], ids=["eight_gaussians", "swiss_roll"])
def test_perfect_samples_have_no_excess_on_average(mixture, n, times):
    """Its floor is its standard error: over so many clouds, mean zero and spread one in that unit.

    The entropy is a mean over 100,000 points, and its error the same for all clouds: it does not average out.
    """
    measured = [excess_nll(truth(mixture, n, seed), mixture) for seed in range(1, times + 1)]
    ratio = torch.tensor([m.value / m.floor for m in measured])
    shared = (n / ENTROPY_SAMPLES) ** 0.5
    assert abs(ratio.mean()) < 4 * (1 / times**0.5 + shared) and ratio.std() == pytest.approx(1, abs=2.5 / times**0.5)


DEFECTIVE = {
    "a stray": lambda x: torch.cat([x[1:], torch.tensor([[-44.0, 0.0]], dtype=x.dtype)]),
    "shifted": lambda x: x + 10,
    "half astray": lambda x: torch.cat([x[: len(x) // 2], x[len(x) // 2 :] + 5]),
}


@pytest.mark.parametrize("defect", DEFECTIVE)
@two_sample
def test_what_is_judged_does_not_raise_its_own_floor(metric, defect):
    """Truth against fresh truth knows nothing of it. Of one stray in 500 only transport, which is a square, hears."""
    x = truth(EIGHT, 500, 1)
    fine, bad = metric(x, EIGHT), metric(DEFECTIVE[defect](x), EIGHT)
    assert bad[1:] == fine[1:]
    if metric in (exact_w2, sliced_w2) or (metric is energy_distance and defect != "a stray"):
        assert not bad.perfect and abs(bad.value - fine.value) > 3 * (bad.high - bad.low)


def test_shuffled_labels_would_call_a_stray_cloud_perfect():
    """Why the floor is not the permutation test's: 10,000 perfect points and one 44 away."""
    x, data = truth(ROLL, 10_000, 1), truth(ROLL, 10_000, 2)
    x[0] = torch.tensor([-44.0, 0.0])
    shuffled = sliced_w2.shuffled(x, data, 9, torch.Generator().manual_seed(0))
    assert shuffled[0] < 1.1 * shuffled[1:].median()
    assert sliced_w2(x, ROLL).value > 10 * sliced_w2(x, ROLL).floor


def test_a_floor_is_computed_once_for_all_who_ask(monkeypatch):
    """Six racers are measured at the same time, and pay for one floor."""
    asked, values = [], TWO_SAMPLE["sliced_w2"].values
    monkeypatch.setattr(sliced_w2, "values", lambda *args, **options: asked.append(1) or values(*args, **options))
    law = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)
    with ThreadPoolExecutor(6) as pool:
        floors = list(pool.map(lambda _: sliced_w2.floor(law, 100), range(6)))
    assert len(set(floors)) == 1 and len(asked) == CLOUDS


@pytest.mark.parametrize("n, times", [(60, 200), pytest.param(300, 2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.against != "flow"])
def test_perfect_samples_are_within_their_range_nineteen_times_in_twenty(name, n, times):
    """And at the floor in the middle. The sabotaged twin is moved by one standard deviation of the data.

    The range of 39 clouds is itself a sample: what lies outside is Beta(2, 38), on average 5 %, with 3.4 % either way.
    """
    measure, repeats = METRICS[name].measure, times if name != "exact_w2" else times // 10

    def inside(spoil):
        found = [measure(spoil(truth(ROLL, n, seed)), ROLL) for seed in range(repeats)]
        return found, sum(m.perfect for m in found) / repeats

    found, share = inside(lambda x: x)
    assert share > stats.beta(38, 2).ppf(1e-3) - 3 * (0.05 * 0.95 / repeats) ** 0.5
    assert inside(lambda x: x + 1)[1] < 0.2
    if METRICS[name].best == 0 and name != "excess_nll":
        assert np.median([abs(m.value) for m in found]) == pytest.approx(found[0].floor, rel=0.35)


def slope(size):
    """Exponent of n in the floor."""
    sizes = [100, 800]
    return np.polyfit(np.log(sizes), [np.log(size(n)) for n in sizes], 1)[0]


def test_floors_shrink_with_n():
    """Like n^(-1/2) for the standard error and for W2; the energy distance is a square, so like 1 / n."""
    assert slope(lambda n: excess_nll(truth(EIGHT, n, 1), EIGHT).floor) == pytest.approx(-0.5, abs=0.01)
    assert slope(lambda n: sliced_w2.floor(EIGHT, n).size) == pytest.approx(-0.5, abs=0.12)
    assert slope(lambda n: energy_distance.floor(EIGHT, n).size) == pytest.approx(-1, abs=0.25)


@pytest.mark.parametrize("n", [200, 5000])
def test_the_outlier_share_is_a_thousandth_of_the_data_by_scipys_poisson(n):
    """For one Gaussian the region is a disc, of which the radius is known: the chi-squared quantile of 0.999."""
    one = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)
    radius = stats.chi2(2).ppf(0.999) ** 0.5
    ring = torch.tensor([[0.97 * radius, 0.0], [0.0, 1.03 * radius]], dtype=torch.float64)
    assert outlier_share.rows(ring, one)[0].flatten().tolist() == [0, 1]
    measured = outlier_share(truth(one, n, 1), one)
    number = stats.poisson(n / 1000)
    assert (measured.low * n, measured.high * n) == pytest.approx((number.ppf(0.025), number.ppf(0.975)))
    lost = torch.full((n, 2), torch.nan)
    assert outlier_share(lost, one).value == 1


def test_the_floor_of_many_samples_counts_the_error_of_the_entropy():
    """The excess subtracts an entropy that is itself an average over 100,000 points: more samples cannot beat that."""
    one = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)
    assert excess_nll(truth(one, 300_000, 1), one).floor > (2 / 2 / 100_000) ** 0.5 * 0.99


# ---- what METRICS says that they see ----

FEWER = {"exact_w2": (1000, 19)}  # (points, shuffles); else 2,000 and 39
CLAIMS = [(name, defect, True) for name, m in METRICS.items() for defect in m.sees]
CLAIMS += [(name, defect, False) for name, m in METRICS.items() for defect in (*m.blind_to, "none")]


def spoilt(x, defect):
    """x [n, 2], a sample of the law, with a defect as DEFECTS describes it; a lost mode is not made here."""
    n = len(x)
    if defect == "blur":
        return x + 0.05 * normal(n, 2, seed=5)
    if defect == "shift":
        return x + torch.tensor([0.2, 0.0])
    if defect == "memorised":
        return x[: n // 2].repeat(2, 1)
    if defect == "outliers":
        strewn = torch.rand(n // 20, 2, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        return torch.cat([x[n // 20 :], 4 * strewn - 2])
    return x


def clouds(defect, n):
    """(law, samples, data, what the samples should have been): the roll, but for a lost mode the eight Gaussians."""
    if defect == "lost_mode":
        seven = GaussianMixture(1.0, EIGHT.means[1:], EIGHT.covariances[1:])
        return EIGHT, truth(seven, n, 1), truth(EIGHT, n, 7), truth(EIGHT, n, 1)
    return ROLL, spoilt(truth(ROLL, n, 1), defect), truth(ROLL, n, 7), truth(ROLL, n, 1)


@pytest.mark.parametrize("name, defect, seen", CLAIMS)
def test_metrics_see_what_they_say(name, defect, seen):
    """Against data: beyond all that shuffling gives, or not. Else: far outside the perfect range, or inside."""
    metric, (n, repeats) = METRICS[name], FEWER.get(name, (2000, 39))
    law, samples, data, meant = clouds(defect, n)
    if metric.against == "data":
        generator = torch.Generator().manual_seed(0)
        p = permutation_band(metric.measure, samples, data, repeats=repeats, generator=generator).p
        assert (p == pytest.approx(2 / (repeats + 1))) is seen
    else:
        measured = metric.measure(samples, {"mixture": law, "flow": meant}[metric.against])
        reach = max(abs(limit - metric.best) for limit in (measured.low, measured.high))
        assert abs(measured.value - metric.best) > 1.5 * reach if seen else measured.perfect


def test_the_table_is_complete():
    assert {defect for m in METRICS.values() for defect in m.sees} == set(DEFECTS)
    for name, m in METRICS.items():
        assert m.measure.__name__ == name and m.measure.__doc__ and not set(m.sees) & set(m.blind_to)
        assert set(m.sees) | set(m.blind_to) <= set(DEFECTS)
    with pytest.raises(ValueError, match="at most"):
        METRICS["exact_w2"].measure(torch.zeros(METRICS["exact_w2"].most + 1, 2), ROLL)


def test_recall_praises_blur():
    """Which is why it is not listed as blind to it."""
    _, blurred, data, clean = clouds("blur", 2000)
    assert recall.value(blurred, data) > recall.value(clean, data)


def test_excess_nll_falls_below_zero_for_samples_that_crowd():
    measured = excess_nll(EIGHT.means.repeat(100, 1) + 0.5 * EIGHT.variances[0].sqrt() * normal(800, 2), EIGHT)
    assert measured.value < -3 * measured.floor


# ---- moment deviation ----


def test_moment_deviation_is_calibrated():
    """Two laws that agree: above 3 once in 75 times, as its docstring says."""
    alarms = sum(moment_deviation(normal(300, 2, seed=s), normal(300, 2, seed=10_000 + s)) > 3 for s in range(1000))
    assert stats.binomtest(alarms, 1000, 1 / 75).pvalue > 1e-3


@pytest.mark.parametrize("schedule", ["linear", "cosine", "flow"])
def test_moment_deviation_detects_a_chain_that_is_off_by_one(schedule, generator):
    """The chain and the closed form share x0; at the same t their laws agree, one step further they do not."""
    s, n = SCHEDULES[schedule](50, **({"rescale": True} if schedule == "linear" else {})), 20_000
    x0 = truth(ROLL, n, 1) + 2.0
    noise = lambda: torch.randn(n, 2, generator=generator, dtype=torch.float64)  # noqa: E731
    x = x0
    for t in range(1, 26):
        x = s.step(x, t, noise())
    jump = s.jump(x0, 25, noise())
    assert moment_deviation(x, jump) < 4
    assert moment_deviation(s.step(x, 26, noise()), jump) > 6


@pytest.mark.parametrize("shift", [1.0, 0.1])
def test_moment_deviation_sees_a_difference_without_spread(shift):
    """Points that all moved by the same amount differ with certainty, whatever their standard error."""
    assert moment_deviation(torch.full((10, 2), shift), torch.zeros(10, 2)) > 3
    assert moment_deviation(torch.zeros(10, 2), torch.zeros(10, 2)) == 0


def test_moment_deviation_sees_a_correlation():
    """(x, y) and (x, -y) differ in E[xy] alone when y is centred."""
    x = normal(2000, 2) @ torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    assert moment_deviation(x, x * torch.tensor([1, -1])) > 6


@pytest.mark.parametrize("D", [1, 2, 3])
def test_moment_deviation_looks_at_every_mean_and_second_moment(D):
    """Turning the sign of one coordinate, or making it longer, is seen wherever it is."""
    x = normal(2000, D) + 0.3
    for i in range(D):
        longer, mirrored = x.clone(), x.clone()
        longer[:, i] *= 1.2
        mirrored[:, i] *= -1
        assert moment_deviation(longer, x) > 6 and moment_deviation(mirrored, x) > 6
