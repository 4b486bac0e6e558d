import numpy as np
import pytest
import torch
from core_common import close
from scipy import stats

from ddpm_core import DATASETS, datasets, excess_nll


def raw_means(mixture):
    return mixture.scale * mixture.means + mixture.shift


def swiss_roll(n, rng):
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))  # as scikit-learn's make_swiss_roll, without its height
    return np.stack([t * np.cos(t), t * np.sin(t)], 1) + rng.normal(scale=0.5, size=(n, 2))


def two_moons(n, rng):
    t, lower = rng.uniform(0, np.pi, n), rng.random(n) < 0.5  # as scikit-learn's make_moons
    moons = np.where(lower[:, None], np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1), np.stack([np.cos(t), np.sin(t)], 1))
    return moons + rng.normal(scale=0.1, size=(n, 2))


def eight_gaussians(n, rng):
    angle = np.pi / 4 * rng.integers(8, size=n)
    return 4 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(scale=0.5, size=(n, 2))


def checkerboard(n, rng):
    x = rng.uniform(0, 4, (3 * n, 2))
    return x[np.floor(x).sum(1) % 2 == 0][:n]


INDEPENDENT = {make.__name__: make for make in (swiss_roll, two_moons, eight_gaussians, checkerboard)}


def smallest_p(a, b, directions=12):
    """Kolmogorov-Smirnov on shadows of two planar clouds; the smallest p, corrected for the number of directions."""
    angle = np.pi * np.arange(directions) / directions
    a, b = (np.asarray(x) @ np.stack([np.cos(angle), np.sin(angle)]) for x in (a, b))  # [n, directions]
    return directions * stats.ks_2samp(a, b).pvalue.min()


@pytest.mark.parametrize("name", INDEPENDENT)
def test_samples_follow_the_law_that_they_are_named_after(name, generator):
    """Against the usual direct construction in numpy; another data set of the same mean and scale is told apart."""
    n, mixture = 5000, DATASETS[name]()
    expected = (INDEPENDENT[name](n, np.random.default_rng(0)) - mixture.shift.numpy()) / mixture.scale
    p = {other: smallest_p(DATASETS[other]().sample(n, generator=generator), expected) for other in DATASETS}
    assert p.pop(name) > 1e-3 and max(p.values()) < 1e-6
    surprise = excess_nll(torch.from_numpy(expected), mixture)  # sees a wrong bandwidth, to which the shadows are blind
    edges = 0.12 if name == "checkerboard" else 0  # nats: its beads blur the edges of the cells
    assert abs(surprise.value) < 4 * surprise.floor + edges


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
@pytest.mark.parametrize("name", ["swiss_roll", "two_moons"])
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


@pytest.mark.parametrize("name", ["swiss_roll", "two_moons"])
def test_neighbours_in_number_are_neighbours_in_the_plane(name):
    """Colour follows the component's index, so along a part no index may jump: each bead overlaps the next."""
    mixture = DATASETS[name]()
    for label in mixture.labels.unique() if name == "two_moons" else [None]:
        means = mixture.means if label is None else mixture.given_label(label.item()).means
        assert means.diff(dim=0).norm(dim=1).max() < mixture.variances.min().sqrt()
