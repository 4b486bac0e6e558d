import numpy as np
import ot
import pytest
import torch
from core_common import normal
from scipy import spatial, stats

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, energy_distance, excess_nll, sliced_w2
from ddpm_core.metrics import moment_deviation

DISTANCES = {"sliced_w2": sliced_w2, "energy_distance": energy_distance}
EIGHT, ROLL = DATASETS["eight_gaussians"](), DATASETS["swiss_roll"]()

distances = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


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
    value = sliced_w2(a, b, projections=50).value
    (directions,) = recorded
    assert directions.shape == (50, 2)
    expected = ot.sliced_wasserstein_distance(a.numpy(), b.numpy(), projections=directions.T.numpy(), p=2)
    assert value == pytest.approx(expected, rel=1e-10)


def test_sliced_w2_is_exact_on_a_line():
    """In one dimension every direction is the line itself: it is W2, by POT; a shift by c costs |c|."""
    a, b = normal(200, 1), 3 * normal(200, 1, seed=2) + 1
    squared = ot.wasserstein_1d(a[:, 0].numpy(), b[:, 0].numpy(), p=2)
    assert sliced_w2(a, b).value == pytest.approx(squared**0.5, rel=1e-10)
    assert sliced_w2(a, a - 1.7).value == pytest.approx(1.7, rel=1e-10)


@pytest.mark.parametrize("m", [150, 200, 1500])
def test_energy_distance_agrees_with_scipy(m):
    """scipy's is the square root, and one-dimensional."""
    a, b = normal(200, 1), 2 * normal(m, 1, seed=2) + 0.5
    assert energy_distance(a, b).value == pytest.approx(stats.energy_distance(a[:, 0], b[:, 0]) ** 2, rel=1e-6)


def test_energy_distance_is_its_definition():
    a, b = truth(ROLL, 1300, 1).numpy(), truth(EIGHT, 700, 2).numpy()
    mean = lambda x, y: spatial.distance.cdist(x, y).mean()  # noqa: E731
    measured = energy_distance(torch.from_numpy(a), torch.from_numpy(b))
    assert measured.value == pytest.approx(2 * mean(a, b) - mean(a, a) - mean(b, b), rel=1e-6) and measured.n == 1300


def test_excess_nll_is_a_divergence_known_in_closed_form():
    """For samples of N(m, s^2 I) under N(0, I) it is (|m|^2 + D (s^2 - 1)) / 2."""
    n, m, s = 20_000, torch.tensor([0.5, -0.2], dtype=torch.float64), 1.3
    measured = excess_nll(m + s * normal(n, 2), GaussianMixture(1.0, torch.zeros(1, 2), 1.0))
    assert measured.value == pytest.approx((m.square().sum() + 2 * (s**2 - 1)).item() / 2, abs=0.05) and measured.n == n


# ---- what makes them distances ----


@distances
def test_a_cloud_is_at_no_distance_from_itself(distance):
    a = truth(ROLL, 500, 1)
    assert abs(distance(a, a).value) < 1e-9 and abs(distance(a, a.flip(0)).value) < 1e-9


@distances
def test_distances_are_symmetric_and_repeatable(distance):
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    assert distance(a, b).value == pytest.approx(distance(b, a).value, rel=1e-9)
    assert distance(a, b) == distance(a, b) and distance(a, b).value > 0


@distances
def test_distances_scale_with_the_units(distance):
    """And ignore where the origin is, and float32."""
    a, b = truth(ROLL, 300, 1), truth(EIGHT, 300, 2)
    once, twice = distance(a, b), distance(2 * a + 5, 2 * b + 5)
    assert twice[:2] == pytest.approx((2 * once.value, 2 * once.floor), rel=1e-6)
    assert distance(a.float(), b.float()).value == pytest.approx(once.value, rel=1e-4)


def test_sliced_w2_needs_equal_clouds():
    for other in (torch.zeros(4, 2), torch.zeros(5, 3)):
        with pytest.raises(ValueError, match="same shape"):
            sliced_w2(torch.zeros(5, 2), other)


# ---- floors ----


@pytest.mark.parametrize("mixture", [EIGHT, ROLL], ids=["eight_gaussians", "swiss_roll"])
def test_perfect_samples_have_no_excess_on_average(mixture):
    """Its floor is its standard error: over 60 clouds, mean zero and spread one in that unit."""
    measured = [excess_nll(truth(mixture, 400, seed), mixture) for seed in range(1, 61)]
    ratio = torch.tensor([m.value / m.floor for m in measured])
    assert abs(ratio.mean()) < 4 / 60**0.5 and 0.7 < ratio.std() < 1.3


@distances
def test_perfect_samples_are_at_the_floor(distance):
    measured = [distance(truth(ROLL, 300, 2 * seed), truth(ROLL, 300, 2 * seed + 1)) for seed in range(20)]
    ratio = torch.tensor([m.value / m.floor for m in measured])
    assert 0.7 < ratio.median() < 1.4 and ratio.max() < 8


def slope(measure):
    """Exponent of n in the floor, over four clouds a size."""
    sizes = [100, 800]
    floors = [np.mean([np.log(measure(n, seed).floor) for seed in range(4)]) for n in sizes]
    return np.polyfit(np.log(sizes), floors, 1)[0]


def test_floors_shrink_with_n():
    """Like n^(-1/2) for the standard error and for W2; the energy distance is a square, so like 1 / n."""
    assert slope(lambda n, seed: excess_nll(truth(EIGHT, n, seed), EIGHT)) == pytest.approx(-0.5, abs=0.01)
    pair = lambda n, seed: (truth(EIGHT, n, 2 * seed), truth(EIGHT, n, 2 * seed + 1))  # noqa: E731
    assert slope(lambda n, seed: sliced_w2(*pair(n, seed))) == pytest.approx(-0.5, abs=0.12)
    assert slope(lambda n, seed: energy_distance(*pair(n, seed))) == pytest.approx(-1, abs=0.25)


def test_the_floor_of_many_samples_counts_the_error_of_the_entropy():
    """The excess subtracts an entropy that is itself an average over 100,000 points: more samples cannot beat that."""
    one = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)
    assert excess_nll(truth(one, 300_000, 1), one).floor > (2 / 2 / 100_000) ** 0.5 * 0.99


# ---- what their docstrings say that they see ----

N = 2000


def defect(name):
    x, z = truth(EIGHT, N, 1), normal(N, 2)
    if name == "blur":
        return x + 0.1 * z
    if name == "shift":
        return x + 0.25
    if name == "lost mode":
        return truth(GaussianMixture(1.0, EIGHT.means[1:], EIGHT.covariances[1:]), N, 1)
    if name == "outliers":
        return torch.cat([x[: -N // 10], 5 * z[: N // 10]])
    return x


SEES = [  # (metric, defect, seen)
    ("excess_nll", "none", False),
    ("excess_nll", "blur", True),
    ("excess_nll", "outliers", True),
    ("excess_nll", "lost mode", False),
    ("sliced_w2", "none", False),
    ("sliced_w2", "blur", False),
    ("sliced_w2", "shift", True),
    ("sliced_w2", "lost mode", True),
    ("energy_distance", "none", False),
    ("energy_distance", "shift", True),
    ("energy_distance", "lost mode", True),
    ("energy_distance", "outliers", True),
]


@pytest.mark.parametrize("metric, name, seen", SEES)
def test_metrics_see_what_they_say(metric, name, seen):
    """Seen: more than three floors; not seen: less than two."""
    x = defect(name)
    measured = excess_nll(x, EIGHT) if metric == "excess_nll" else DISTANCES[metric](x, truth(EIGHT, N, 7))
    ratio = abs(measured.value) / measured.floor
    assert ratio > 3 if seen else ratio < 2


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
