import math

import numpy as np
import pytest
import torch
from core_common import close, f64, normal
from saboteurs import WIDER, wider, without_a_mode
from scipy import stats

from ddpm_core import DATASETS, GaussianMixture


def random_mixture(K, D, full):
    g = torch.Generator().manual_seed(K)
    root = torch.randn(K, D, D, generator=g, dtype=f64) * 0.5
    covariances = root @ root.mT + 0.05 * torch.eye(D) if full else 0.05 + 0.3 * torch.rand(K, generator=g, dtype=f64)
    weights, means = torch.rand(K, generator=g, dtype=f64) + 0.1, torch.randn(K, D, generator=g, dtype=f64)
    return GaussianMixture(weights, means, covariances, [k % 2 for k in range(K)])


MIXTURES = {
    "isotropic": random_mixture(5, 2, full=False),
    "full": random_mixture(4, 2, full=True),
    "one Gaussian": random_mixture(1, 2, full=True),
    "three dimensions": random_mixture(6, 3, full=True),
}
EVERY = MIXTURES | {name: make() for name, make in DATASETS.items()}
LEVELS = [(1.0, 0.3), (0.8, 0.6), (0.05, 1.0), (1.0, 5.0)]

small = pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
planar = pytest.mark.parametrize("mixture", [MIXTURES["isotropic"], MIXTURES["full"]], ids=["isotropic", "full"])
every = pytest.mark.parametrize("mixture", EVERY.values(), ids=EVERY)
levels = pytest.mark.parametrize("alpha, sigma", LEVELS)


def z_scores(x, expected):
    """How many standard errors the mean of the rows of x lies from what is expected."""
    return (x.mean(0) - expected) / (x.std(0) / len(x) ** 0.5)


def has_moments(x, mean, covariance):
    """To five standard errors."""
    centred = x - mean
    squares = z_scores(centred[:, :, None] * centred[:, None, :], covariance)
    return bool((z_scores(centred, 0).abs() < 5).all() and (squares.abs() < 5).all())


def grid(mixture, fineness=1):
    """Points [n, 2] that cover a planar mixture to eight deviations, and their area: sums over it are exact integrals.

    The trapezoidal rule converges faster than any power for smooth functions: one bandwidth apart is enough for 1e-8.
    """
    h = mixture.variances.min().sqrt().item() / fineness
    reach = mixture.means.abs().max().item() + 8 * mixture.variances.max().sqrt().item()
    axis = torch.arange(-reach, reach, h, dtype=f64)
    return torch.cartesian_prod(axis, axis), h * h


# ---- density and score ----


@small
def test_density_agrees_with_scipy(mixture):
    """All that is called exact rests on this density."""
    x = 2 * normal(50, mixture.D)
    parts = [stats.multivariate_normal(m, C).pdf(x) for m, C in zip(mixture.means, mixture.covariances, strict=True)]
    close(mixture.log_prob(x), np.log(mixture.weights.numpy() @ np.stack(parts)), 1e-10)


@every
@levels
def test_score_is_the_gradient_of_the_log_density(mixture, alpha, sigma):
    """What every network is held against."""
    noised = mixture.noised(alpha, sigma)
    x = (2 * normal(40, mixture.D)).requires_grad_()
    noised.log_prob(x).sum().backward()
    close(noised.score(x.detach()), x.grad, 1e-10)


@pytest.mark.parametrize("name", DATASETS)
def test_density_integrates_to_one(name):
    """Excess NLL compares densities, so each has to have the mass 1."""
    x, area = grid(EVERY[name])
    close(sum(EVERY[name].log_prob(part).exp().sum() for part in x.split(4096)) * area, 1.0, 1e-7)


@planar
@levels
def test_noised_density_is_the_convolution(mixture, alpha, sigma):
    """p_t(x) = integral of p(x0) N(x; alpha x0, sigma^2 I) dx0, summed on a grid."""
    x0, area = grid(mixture, fineness=2)  # the product is narrower than its factors
    x = alpha * mixture.means + sigma * normal(mixture.K, 2)
    kernel = torch.distributions.Normal(alpha * x0, sigma).log_prob(x[:, None]).sum(-1).exp()  # [K, grid]
    close(mixture.noised(alpha, sigma).log_prob(x).exp(), kernel @ mixture.log_prob(x0).exp() * area, 1e-7)


@small
def test_noising_twice_is_noising_once(mixture):
    """A noised mixture is a mixture: why every noise level has an exact answer."""
    x = normal(20, mixture.D)
    once = mixture.noised(0.8 * 0.5, math.hypot(0.5 * 0.6, 0.7))
    close(mixture.noised(0.8, 0.6).noised(0.5, 0.7).log_prob(x), once.log_prob(x), 1e-10)


def test_round_components_are_a_special_case_of_full_ones():
    round_ = MIXTURES["isotropic"]
    full = GaussianMixture(round_.weights, round_.means, round_.covariances)
    x = normal(20, 2)
    close(full.log_prob(x), round_.log_prob(x), 1e-10)
    close(full.score(x), round_.score(x), 1e-10)
    close(full.denoise(x, 0.8, 0.6), round_.denoise(x, 0.8, 0.6), 1e-10)


# ---- the denoiser ----


@every
@levels
def test_denoising_is_tweedies_formula(mixture, alpha, sigma):
    """E[x0 | x] = (x + sigma^2 grad log p_t(x)) / alpha, with the gradient by autograd."""
    x0 = mixture.sample(40, generator=torch.Generator().manual_seed(0))
    x = (alpha * x0 + sigma * normal(40, mixture.D)).requires_grad_()
    mixture.noised(alpha, sigma).log_prob(x).sum().backward()
    close(mixture.denoise(x.detach(), alpha, sigma), (x.detach() + sigma**2 * x.grad) / alpha, 1e-9)


@small
@pytest.mark.parametrize("alpha, sigma", [(0.8, 0.6), (1.0, 0.5), (0.3, 0.7)])
def test_posterior_moments_are_those_of_weighted_samples(mixture, alpha, sigma, generator):
    """E[x0 | x] and Cov[x0 | x] = sigma^2 / alpha dE[x0 | x]/dx, against draws weighted by N(x; alpha x0, sigma^2)."""
    x0 = mixture.sample(200_000, generator=generator)
    for x in alpha * x0[:3] + sigma * normal(3, mixture.D):
        weights = torch.distributions.Normal(alpha * x0, sigma).log_prob(x).sum(-1).softmax(0)
        mean = mixture.denoise(x[None], alpha, sigma)[0]
        slope = torch.autograd.functional.jacobian(lambda x: mixture.denoise(x[None], alpha, sigma)[0], x)
        covariance = sigma**2 / alpha * slope
        close(covariance, covariance.T, 1e-10)
        assert torch.linalg.eigvalsh(covariance).min() > 0
        centred = x0 - mean
        for value, expected in ((centred, 0 * mean), (centred[:, :, None] * centred[:, None, :], covariance)):
            weighted = weights.view(-1, *[1] * (value.ndim - 1)) * (value - expected)
            assert (weighted.sum(0).abs() < 5 * weighted.square().sum(0).sqrt()).all()  # self-normalised standard error


@every
def test_denoising_forgets_noise_at_one_end_and_the_point_at_the_other(mixture):
    """The first step of sampling starts where x says nothing."""
    x = normal(10, mixture.D)
    close(mixture.denoise(x, 1.0, 0.0), x, 1e-10)
    close(mixture.denoise(x, 0.0, 1.0), mixture.mean.expand_as(x), 1e-10)


@every
def test_float32_points_are_answered_in_float32(mixture):
    x = normal(20, mixture.D)
    for f in (mixture.log_prob, mixture.score, lambda x: mixture.denoise(x, 0.8, 0.6)):
        assert f(x.float()).dtype == torch.float32
        torch.testing.assert_close(f(x.float()).double(), f(x), rtol=1e-3, atol=1e-3)


# ---- sampling ----


@every
def test_samples_have_the_stated_mean_and_covariance(mixture, generator):
    """Everything else is measured against samples. 5 % of a variance are seven standard errors of 40,000."""
    x, law = mixture.sample(40_000, generator=generator), (mixture.mean, mixture.covariance)
    assert has_moments(x, *law) and not has_moments(wider(x), *law)
    if 1 < mixture.K < 100:
        assert not has_moments(without_a_mode(mixture).sample(40_000, generator=generator), *law)


@every
def test_labels_come_as_often_as_their_weight(mixture, generator):
    """Classes that come too often look like a law that was learned badly; a share that is a fifth off is seen."""
    x, label = mixture.sample_labelled(20_000, generator=generator)
    known = mixture.labels.unique()
    weight = torch.stack([mixture.weights[mixture.labels == k].sum() for k in known])
    counts = torch.stack([(label == k).sum() for k in known])
    if len(known) > 1:
        off = weight + 0.2 * weight[0] * torch.tensor([1.0, -1.0] + [0.0] * (len(known) - 2))
        assert stats.chisquare(counts, 20_000 * weight).pvalue > 1e-3 > stats.chisquare(counts, 20_000 * off).pvalue
    k = known[-1]
    part = mixture.given_label(k)
    assert (z_scores(x[label == k], part.mean).abs() < 5).all()


@every
def test_particle_i_needs_its_own_noise_only(mixture):
    """Runs of different sizes are compared particle by particle."""
    z = normal(50, mixture.D + 1)
    x, k = mixture.components_from_noise(z)
    for rows in (slice(0, 1), slice(0, 7), slice(20, 31)):
        fewer = mixture.components_from_noise(z[rows])
        assert torch.equal(fewer[0], x[rows]) and torch.equal(fewer[1], k[rows])


@small
def test_component_is_the_one_that_noise_chose(mixture, generator):
    """Of what comes from component k, mean and covariance are those of k: what is coloured k on the page is k."""
    x, k = mixture.components_from_noise(normal(300_000, mixture.D + 1))
    for j in range(mixture.K):
        law = mixture.means[j], mixture.covariances[j]
        assert has_moments(x[k == j], *law) and not has_moments(wider(x[k == j]), *law)


def test_a_component_of_no_weight_is_never_drawn(generator):
    mixture = GaussianMixture([0.0, 1.0, 0.0, 1.0, 0.0], torch.arange(5.0)[:, None], 0.0)
    assert set(mixture.sample(1000, generator=generator).flatten().tolist()) == {1.0, 3.0}
    assert mixture.noised(1.0, 0.1).score(normal(5, 1)).isfinite().all()


def test_sampling_is_decided_by_the_generator_alone():
    """Every picture is a link, so the same recipe must give the same points."""
    mixture = MIXTURES["full"]
    draw = [mixture.sample(5, generator=torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])


@pytest.mark.parametrize("D", [1, 2, 5])
def test_entropy_of_one_gaussian(D, generator):
    """1/2 log det(2 pi e C), as scipy has it; the Monte-Carlo error is sqrt(D / 2n), a seventh of what 5 % do."""
    C = random_mixture(1, D, full=True).covariances
    n = 50_000
    for law, right in ((C, True), (WIDER * C, False)):
        estimate = GaussianMixture(1.0, torch.zeros(1, D), law).entropy(n, generator=generator)
        error = abs(estimate - stats.multivariate_normal(np.zeros(D), C[0]).entropy())
        assert bool(error < 5 * (D / 2 / n) ** 0.5) is right


def test_entropy_of_distant_equal_parts_is_one_part_and_the_choice(generator):
    """H = log K + H(part) when the parts do not overlap."""
    mixture = GaussianMixture(1.0, 100 * torch.eye(8), 1.0)
    estimate = mixture.entropy(20_000, generator=generator)
    assert abs(estimate - math.log(8) - 4 * math.log(2 * math.pi * math.e)) < 5 * (8 / 2 / 20_000) ** 0.5


def test_a_component_of_no_weight_counts_for_nothing(generator):
    """Be it a point mass: else 0 * inf would make everything NaN. With weight, there is no density any more."""
    C = torch.stack([torch.eye(2), torch.zeros(2, 2)])
    beside, pointed = (GaussianMixture([1.0, weight], [[0.0, 0.0], [1.0, 0.0]], C) for weight in (0.0, 0.5))
    x = torch.cat([normal(20, 2), beside.means])
    close(beside.log_prob(x), GaussianMixture(1.0, [[0.0, 0.0]], 1.0).log_prob(x), 1e-12)
    assert math.isfinite(beside.entropy(100, generator=generator))
    assert pointed.entropy(100, generator=generator) == -math.inf
    assert pointed.kl_to_noise(100, generator=generator) == math.inf


@pytest.mark.parametrize("D", [1, 2, 5])
def test_distance_of_one_gaussian_to_noise(D, generator):
    """KL(N(m, C) || N(0, I)), as torch has it; and none at all from noise itself."""
    C, m = random_mixture(1, D, full=True).covariances, normal(1, D)
    law = torch.distributions.MultivariateNormal(m[0], C[0])
    unit = torch.distributions.MultivariateNormal(torch.zeros_like(m[0]), torch.eye(D, dtype=m.dtype))
    n, x = 200_000, law.sample((200_000,))
    error = (law.log_prob(x) - unit.log_prob(x)).std().item() / n**0.5
    estimate = GaussianMixture(1.0, m, C).kl_to_noise(n, generator=generator)
    assert abs(estimate - torch.distributions.kl_divergence(law, unit).item()) < 5 * error
    twins = [GaussianMixture(1.0, s * m, c * C) for s, c in ((1, WIDER), (WIDER, 1), (WIDER, WIDER))]
    assert max(abs(twin.kl_to_noise(n, generator=generator) - estimate) for twin in twins) > 5 * error
    assert GaussianMixture(1.0, torch.zeros(1, D), 1.0).kl_to_noise(1000, generator=generator) == pytest.approx(
        0, abs=1e-12
    )


# ---- derived mixtures ----


@every
def test_parts_add_up_to_the_whole(mixture):
    """Law of total probability: p(x) = sum over labels of P(label) p(x | label)."""
    x = normal(20, mixture.D)
    known = mixture.labels.unique()
    weights = torch.stack([mixture.weights[mixture.labels == k].sum() for k in known])
    parts = torch.stack([mixture.given_label(k.item()).log_prob(x).exp() for k in known])
    close(weights @ parts, mixture.log_prob(x).exp(), 1e-10)
    assert all((mixture.given_label(k.item()).labels == k).all() for k in known)


def test_unknown_label_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"\[0, 1\]"):
        MIXTURES["full"].given_label(7)


@small
def test_standardising_only_changes_coordinates(mixture):
    """Density transforms with the Jacobian: log p(y) = log p_raw(scale y + shift) + D log scale, of parts too."""
    y = normal(20, mixture.D)
    once = mixture.standardised()
    for s, raw in ((once, mixture), (once.given_label(0).standardised(), mixture.given_label(0))):
        close(s.log_prob(y), raw.log_prob(s.scale * y + s.shift) + mixture.D * math.log(s.scale), 1e-10)
        close(s.mean, torch.zeros(mixture.D, dtype=f64), 1e-10)
        close(s.covariance.diagonal().mean(), 1.0, 1e-10)


@small
def test_component_of_is_the_most_probable_one(mixture):
    """It decides the colour of every particle."""
    x = normal(100, mixture.D)
    parts = [stats.multivariate_normal(m, C).logpdf(x) for m, C in zip(mixture.means, mixture.covariances, strict=True)]
    assert mixture.component_of(x).tolist() == (np.stack(parts).T + mixture.weights.log().numpy()).argmax(1).tolist()


# ---- what is no mixture ----


@pytest.mark.parametrize("weights", [[1.0, -0.5], [0.0, 0.0], [math.nan, 1.0]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        GaussianMixture(weights, [[0.0], [1.0]], 1.0)


@pytest.mark.parametrize("covariances", [-1.0, [1.0, -1.0], [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]])
def test_impossible_covariances_are_refused(covariances):
    with pytest.raises(ValueError, match="covariances"):
        GaussianMixture(1.0, [[0.0, 0.0], [1.0, 1.0]], covariances)


def test_degenerate_covariances_are_allowed(generator):
    """v v^T is positive semi-definite, whatever rounding does to its zero eigenvalue; samples lie on the line of v."""
    for v in normal(50, 2):
        mixture = GaussianMixture(1.0, torch.zeros(1, 2), torch.outer(v, v)[None])
        x = mixture.sample(10, generator=generator)
        close(x[:, 0] * v[1], x[:, 1] * v[0], 1e-6)


def test_labels_must_be_one_for_each_component():
    with pytest.raises(ValueError, match="label"):
        GaussianMixture(1.0, [[0.0], [1.0]], 1.0, labels=[0, 1, 2])


@small
@levels
def test_the_posterior_variance_is_the_slope_of_the_denoiser(mixture, alpha, sigma):
    """Cov(x0 | x) = sigma^2 / alpha d E[x0 | x] / dx (Efron 2011), here its trace, by autograd."""
    x = normal(12, mixture.D)
    slope = torch.autograd.functional.jacobian(lambda x: mixture.denoise(x, alpha, sigma).sum(0), x)  # [D, n, D]
    trace = slope.diagonal(dim1=0, dim2=2).sum(-1)
    close(mixture.posterior_variance(x, alpha, sigma), sigma**2 / alpha * trace / mixture.D, 1e-9)
