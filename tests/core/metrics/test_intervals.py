import pytest
import torch
from core_common import normal
from saboteurs import without_a_mode
from scipy import stats

from ddpm_core import DATASETS, GaussianMixture
from ddpm_core.metrics.intervals import bootstrap_interval, permutation_band
from ddpm_core.metrics.registry import METRICS, excess_nll, mode_coverage, sliced_w2, strong_error

CHEAP = {name: m.measure for name, m in METRICS.items() if m.against == "data" and m.most is None}
cheap = pytest.mark.parametrize("metric", CHEAP.values(), ids=CHEAP)
EIGHT = DATASETS["eight_gaussians"]()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- permutation ----


def p_values(metric, experiments, n, repeats):
    pairs = [(normal(n, 2, seed=2 * i), normal(n, 2, seed=2 * i + 1)) for i in range(experiments)]
    return [permutation_band(metric, *pair, repeats=repeats, generator=seeded(i)).p for i, pair in enumerate(pairs)]


@pytest.mark.parametrize("name", ["sliced_w2", "energy_distance", "mmd"])
def test_p_values_are_uniform_when_the_laws_agree(name):
    """On the grid of multiples of 2 / 40."""
    p = p_values(CHEAP[name], 100, 30, 39)
    assert stats.kstest([v - 0.025 for v in p], "uniform").pvalue > 1e-3
    one_sided = [v / 2 for v in p]  # a band that looks to one side only alarms twice as often
    assert stats.kstest(one_sided, "uniform").pvalue < 1e-3


@cheap
def test_false_alarms_are_no_more_frequent_than_stated(metric):
    """One time in ten at most; ties, of which a share of points has many, only make them rarer."""
    p = p_values(metric, 100, 30, 39)
    too_many = lambda alarms: stats.binomtest(alarms, 100, 0.1, alternative="greater").pvalue < 1e-2  # noqa: E731
    assert not too_many(sum(v <= 0.1 for v in p))
    assert too_many(sum(v <= 0.7 for v in p))  # of a band that is too narrow


@pytest.mark.slow
@cheap
def test_p_values_at_length(metric):
    p = torch.tensor(p_values(metric, 1000, 60, 99))
    for level in (0.02, 0.1, 0.5):
        assert stats.binomtest(int((p <= level + 1e-9).sum()), 1000, level, alternative="greater").pvalue > 1e-3


@cheap
def test_the_band_is_what_shuffling_by_hand_gives(metric):
    """The metric of 300 random halves, each computed anew."""
    a, b = normal(60, 2), normal(60, 2, seed=2) + 0.3
    band = permutation_band(metric, a, b, repeats=999, generator=seeded())
    orders = [torch.randperm(120, generator=seeded(i)) for i in range(300)]
    null = torch.tensor([metric.value(*torch.cat([a, b])[order].split(60)) for order in orders])
    assert 0.9 <= ((null >= band.low) & (null <= band.high)).double().mean() <= 0.99
    value = metric.value(a, b)
    above, below = ((beyond).double().mean().item() for beyond in (null >= value, null <= value))
    assert band.p == pytest.approx(min(1, 2 * min(above, below)), abs=0.12)


@cheap
def test_clouds_of_different_laws_have_the_smallest_p(metric):
    """A test without power would never find anything wrong."""
    a, b = normal(200, 2), 4 + normal(200, 2, seed=2)
    band = permutation_band(metric, a, b, repeats=99, generator=seeded())
    assert band.p == 0.02 and not band.low <= metric.value(a, b) <= band.high


def test_a_copy_is_as_suspicious_as_a_stray():
    """Too small a distance is a sign of copies, too."""
    assert permutation_band(sliced_w2, normal(100, 2), normal(100, 2), repeats=99, generator=seeded()).p == 0.02


def test_options_reach_the_metric_and_unknown_ones_do_not():
    a, b = normal(50, 2), normal(50, 2, seed=2)
    few, many = (
        permutation_band(METRICS["precision"].measure, a, b, k=k, repeats=19, generator=seeded()) for k in (1, 9)
    )
    assert few.high < many.high
    with pytest.raises(TypeError):
        permutation_band(sliced_w2, a, b, generator=seeded(), bandwith=1)


# ---- bootstrap ----


at_length = pytest.mark.parametrize("n, times", [(300, 200), pytest.param(1000, 1000, marks=pytest.mark.slow)])


def coverage(experiment, truth, times):
    hits = sum(low <= truth <= high for low, high in map(experiment, range(times)))
    return hits / times


def stated(times):
    """The share of 95 % intervals that hold the truth, up to four standard deviations of that share."""
    return pytest.approx(0.95, abs=4 * (0.05 * 0.95 / times) ** 0.5)


@at_length
def test_intervals_hold_the_excess_nll_nineteen_times_of_twenty(n, times):
    """Of N(0, 1.2^2 I) under N(0, I): D (s^2 - 1) / 2. Who counts each sample twice is too sure."""
    one = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)

    def interval(i, copies=1):
        x = 1.2 * normal(n, 2, seed=i).repeat(copies, 1)
        return bootstrap_interval(excess_nll, x, one, generator=seeded(i))

    assert coverage(interval, 1.2**2 - 1, times) == stated(times)
    assert coverage(lambda i: interval(i, copies=2), 1.2**2 - 1, times) != stated(times)


@at_length
def test_intervals_hold_the_strong_error(n, times):
    """Of displacements N(0, 0.1^2 I). Who counts each sample twice is too sure."""
    ends = normal(n, 2)

    def interval(i, copies=1):
        displaced = ends + 0.1 * normal(n, 2, seed=10_000 + i)
        return bootstrap_interval(
            strong_error, displaced.repeat(copies, 1), ends.repeat(copies, 1), generator=seeded(i)
        )

    assert coverage(interval, 0.1 * 2**0.5, times) == stated(times)
    assert coverage(lambda i: interval(i, copies=2), 0.1 * 2**0.5, times) != stated(times)


@at_length
@pytest.mark.parametrize("lost", [0, 1, 3])
def test_intervals_hold_the_share_of_lost_modes(lost, n, times):
    """Zero included, where no mode is lost and the value itself never is zero; so more often than stated."""
    left = GaussianMixture(1.0, EIGHT.means[lost:], EIGHT.covariances[lost:])

    def interval(i, law=left):
        x = law.sample(n, generator=seeded(i))
        return bootstrap_interval(mode_coverage, x, EIGHT, repeats=199, generator=seeded(i))

    enough = 0.95 - 2 * (0.05 * 0.95 / times) ** 0.5
    assert coverage(interval, lost / 8, times) >= enough
    assert coverage(lambda i: interval(i, without_a_mode(left)), lost / 8, times) < enough


def test_intervals_shrink_with_n():
    """Like n^(-1/2): sixteen times the particles, a quarter of the width."""
    ends = normal(6400, 2)
    widths = []
    for n in (400, 6400):
        low, high = bootstrap_interval(strong_error, ends[:n] + normal(n, 2, seed=2), ends[:n], generator=seeded())
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


def test_intervals_repeat_with_the_generator():
    x = EIGHT.sample(300, generator=seeded())
    once, again, other = (bootstrap_interval(excess_nll, x, EIGHT, generator=seeded(i)) for i in (1, 1, 2))
    assert once == again != other
