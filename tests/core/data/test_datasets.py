import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from core_common import close
from scipy import stats

from ddpm_core import DATASETS, excess_nll
from ddpm_core.data import datasets


def raw_means(mixture):
    return mixture.scale * mixture.means + mixture.shift


def polar(radius, angle):
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


def along(curve, start, stop, n, rng):
    """Points with a uniform law of arc length: t drawn as often as the curve is fast there."""
    t = np.linspace(start, stop, 20_001)
    speed = np.linalg.norm(np.gradient(curve(t), axis=0), axis=1)
    return curve(rng.choice(t, n, p=speed / speed.sum()))


def spun(x, copies, rng):
    """Each point turned to one of `copies` directions, which is its label."""
    label = rng.integers(copies, size=len(x))
    turned = (x @ [1, 1j]) * np.exp(2j * np.pi * label / copies)
    return np.stack([turned.real, turned.imag], 1), label


def swiss_roll(n, rng):
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))  # as scikit-learn's make_swiss_roll, without its height
    return polar(t, t) + rng.normal(scale=0.5, size=(n, 2)), 0 * t


def two_moons(n, rng):
    t, lower = rng.uniform(0, np.pi, n), rng.random(n) < 0.5  # as scikit-learn's make_moons
    moons = np.where(lower[:, None], [1, 0.5] - polar(1, t), polar(1, t))
    return moons + rng.normal(scale=0.1, size=(n, 2)), lower


def eight_gaussians(n, rng):
    label = rng.integers(8, size=n)
    return polar(4, np.pi / 4 * label) + rng.normal(scale=0.5, size=(n, 2)), label


def twenty_five_gaussians(n, rng):
    cell = rng.integers(5, size=(n, 2))
    return cell + 0.5 + rng.normal(scale=0.15, size=(n, 2)), cell @ [5, 1]


def checkerboard(n, rng):
    x = rng.uniform(0, 4, (3 * n, 2))
    x = x[np.floor(x).sum(1) % 2 == 0][:n]
    return x, np.floor(x) @ [4, 1] // 2


def pinwheel(n, rng):
    x, label = spun(along(lambda r: polar(r, r), 0.4, 2.4, n, rng), 5, rng)
    return x + rng.normal(scale=0.1, size=(n, 2)), label


def two_spirals(n, rng):
    x, label = spun(along(lambda r: polar(r, r), np.pi / 2, 3 * np.pi, n, rng), 2, rng)
    return x + rng.normal(scale=0.3, size=(n, 2)), label


def concentric_rings(n, rng):
    radius = rng.choice([1, 2, 3], n, p=[1 / 6, 2 / 6, 3 / 6])
    return polar(radius, rng.uniform(0, 2 * np.pi, n)) + rng.normal(scale=0.1, size=(n, 2)), radius - 1


def s_curve(n, rng):
    t, lower = rng.uniform(0, 1.5 * np.pi, n), rng.random(n) < 0.5  # two three-quarter circles, one above the other
    upper = np.stack([np.cos(t), 1 + np.sin(t)], 1)
    return np.where(lower[:, None], -upper, upper) + rng.normal(scale=0.1, size=(n, 2)), 0 * t


def heart(n, rng):
    def outline(t):  # the powers of cos t instead of the cosines of multiples of t
        c = np.cos(t)
        return np.stack([16 * np.sin(t) ** 3, 4 + c * (19 - c * (2 + c * (8 + 8 * c)))], -1)

    return along(outline, 0, 2 * np.pi, n, rng) + rng.normal(scale=0.8, size=(n, 2)), np.zeros(n)


def ink_drop(n, rng):
    glass = (rng.random(n) < 0.4)[:, None]
    x = np.where(glass, polar(1, rng.uniform(0, 2 * np.pi, n)), [0.42, 0.56])
    return x + np.where(glass, 0.04, 0.08) * rng.normal(size=(n, 2)), glass[:, 0]


def cola_sprite_fanta(n, rng):
    x, y = rng.uniform([[-0.6], [0.7]], [[0.6], [2.9]], (2, 9 * n))
    width = 0.35 + 0.75 / (1 + np.exp(25 * ((2.9 - y) / 2.2 - 0.65)))  # at the height 0 .. 1 above the bottle's bottom
    bottle = np.stack([x, y], 1)[np.abs(x) < width / 2][:n]
    puddle = (rng.random(n) < 0.3)[:, None]
    x, label = spun(np.where(puddle, 0, bottle), 3, rng)
    return x + np.where(puddle, 0.25, 0.08) * rng.normal(size=(n, 2)), label


INDEPENDENT = {name: globals()[name] for name in DATASETS}


@lru_cache
def sample(name, n):
    return DATASETS[name]().sample(n, generator=torch.Generator().manual_seed(1))


def smallest_p(a, b, directions=12):
    """Kolmogorov-Smirnov on shadows of two planar clouds; the smallest p, corrected for the number of directions."""
    angle = np.pi * np.arange(directions) / directions
    shadows = np.concatenate([a, b]) @ np.stack([np.cos(angle), np.sin(angle)])  # [n, directions]
    steps = np.repeat([1 / len(a), -1 / len(b)], [len(a), len(b)])[shadows.argsort(0)]
    statistic = np.abs(steps.cumsum(0)).max()
    return directions * stats.kstwobign.sf(statistic * (len(a) * len(b) / (len(a) + len(b))) ** 0.5)


@pytest.mark.parametrize("name", DATASETS)
def test_samples_follow_the_law_that_they_are_named_after(name, generator):
    """Against a direct construction in numpy; another data set of the same mean and scale is told apart."""
    n, mixture = 8000, DATASETS[name]()
    x, label = INDEPENDENT[name](n, np.random.default_rng(0))
    expected = (x - mixture.shift.numpy()) / mixture.scale
    p = {other: smallest_p(sample(other, n), expected) for other in DATASETS}
    assert p.pop(name) > 1e-3 and max(p.values()) < 1e-6
    surprise = excess_nll(torch.from_numpy(expected), mixture)  # sees a wrong bandwidth, to which the shadows are blind
    edges = 0.12 if name == "checkerboard" else 0  # nats: its beads blur the edges of the cells
    assert abs(surprise.value) < 4 * surprise.floor + edges
    for part in mixture.labels.unique().tolist():
        p = smallest_p(mixture.given_label(part).sample(n, generator=generator), expected[label == part])
        assert p > 1e-3 / len(mixture.labels.unique())


@pytest.mark.parametrize("name", DATASETS)
def test_data_are_standardised_by_one_shared_scale(name):
    mixture = DATASETS[name]()
    assert mixture.mean.abs().max() < 1e-12 and abs(mixture.covariance.diagonal().mean() - 1) < 1e-12
    assert mixture.D == 2 and mixture.scale > 0 and mixture.shift.shape == (2,)


@pytest.mark.parametrize("name", DATASETS)
def test_every_component_has_a_label(name):
    mixture = DATASETS[name]()
    assert mixture.labels.shape == mixture.weights.shape == (mixture.K,)
    labels = mixture.labels.unique()
    assert labels.tolist() == list(range(len(labels)))


@pytest.mark.parametrize("K", [2, 255, 256])
@pytest.mark.parametrize("name", ["swiss_roll", "two_moons", "s_curve", "heart", "ink_drop"])
def test_curves_take_any_number_of_beads(name, K):
    mixture = getattr(datasets, name)(K=K)
    assert mixture.K == len(mixture.labels) == K


def test_the_roll_has_radius_equal_to_angle():
    means = raw_means(DATASETS["swiss_roll"]())
    radius = means.norm(dim=1)
    close(radius[:, None] * torch.stack([radius.cos(), radius.sin()], 1), means)
    assert radius[0].item() == pytest.approx(1.5 * torch.pi) and radius[-1].item() == pytest.approx(4.5 * torch.pi)
    assert radius.diff().std() < 1e-10 < radius.diff().min()


def test_the_moons_are_two_half_circles():
    mixture = DATASETS["two_moons"]()
    upper, lower = (raw_means(mixture.given_label(label)) for label in (0, 1))
    assert (upper.norm(dim=1) - 1).abs().max() < 1e-10 and upper[:, 1].min() > -1e-10
    assert ((lower - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs().max() < 1e-10 and lower[:, 1].max() < 0.5 + 1e-10
    assert len(upper) == len(lower)


def test_the_eight_are_the_corners_of_an_octagon():
    means = DATASETS["eight_gaussians"]().means
    turned = means @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64) / 2**0.5
    close(turned, means.roll(-1, 0))


def test_the_board_is_dark_in_every_second_cell():
    mixture = DATASETS["checkerboard"]()
    centre = torch.cartesian_prod(*[torch.arange(4, dtype=torch.float64) + 0.5] * 2)
    density = mixture.log_prob((centre - mixture.shift) / mixture.scale).exp()
    dark = centre.floor().sum(1) % 2 == 0
    assert density[dark].min() > 100 * density[~dark].max()
    assert (raw_means(mixture).floor().sum(1) % 2 == 0).all()


def parts(name):
    """The mixtures of the labels that have more than one component."""
    mixture = DATASETS[name]()
    each = [mixture.given_label(label) for label in mixture.labels.unique().tolist()]
    return [part for part in each if part.K > 1]


AREAS = ("checkerboard", "cola_sprite_fanta")
BLOBS = ("eight_gaussians", "twenty_five_gaussians")


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in AREAS + BLOBS])
def test_neighbours_in_number_are_neighbours_in_the_plane(name):
    """Colour follows the component's index, so along a part no index may jump: each bead overlaps the next."""
    for part in parts(name):
        assert part.means.diff(dim=0).norm(dim=1).max() < part.variances.min().sqrt()


@pytest.mark.parametrize("name", AREAS)
def test_areas_are_numbered_row_by_row(name):
    """A bead's number is nearly a linear function of its place."""
    for part in parts(name):
        design = np.column_stack([part.means, np.ones(part.K)])
        number = np.arange(part.K)
        residual = number - design @ np.linalg.lstsq(design, number, rcond=None)[0]
        assert residual.var() < 0.03 * number.var()


@pytest.mark.parametrize("name", ["concentric_rings", "heart", "ink_drop"])
def test_closed_curves_close(name):
    for part in parts(name):
        around = (part.means - part.means.roll(1, 0)).norm(dim=1)
        assert around[0] < 1.01 * around[1:].max()


def test_rings_weigh_as_much_as_they_are_long():
    mixture = DATASETS["concentric_rings"]()
    close(torch.zeros(3).double().index_add(0, mixture.labels, mixture.weights), torch.tensor([1, 2, 3]) / 6, 1e-7)


def test_the_drop_is_small_dense_and_off_centre():
    mixture = DATASETS["ink_drop"]()
    drop, glass = (mixture.given_label(label) for label in (0, 1))
    assert mixture.weights[mixture.labels == 0].sum() > 0.5
    assert drop.mean.norm() > 3 * drop.covariance.diagonal().max().sqrt()
    assert drop.log_prob(drop.mean[None]) > glass.log_prob(glass.means).max() + 1


def test_each_bottle_shares_a_part_with_every_other_and_has_one_of_its_own():
    """Exact densities at all means: somewhere two classes are as likely, elsewhere one is a thousand times likelier."""
    mixture = DATASETS["cola_sprite_fanta"]()
    logs = torch.stack([mixture.given_label(label).log_prob(mixture.means) for label in range(3)], -1)  # [K, 3]
    dense = logs > logs.max() - math.log(10)
    for own, *others in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        for other in others:
            near = (logs[:, own] - logs[:, other]).abs() < 1e-6
            assert (near & dense[:, own] & dense[:, other]).any()
        ahead = logs[:, own] - logs[:, others].amax(1)
        assert (ahead[dense[:, own]] > math.log(1000)).double().mean() > 0.5
