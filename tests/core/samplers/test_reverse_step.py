from itertools import pairwise

import pytest
import torch
from core_common import close, f64, normal
from saboteurs import wider
from scipy import stats
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, MixtureDenoiser, from_betas
from ddpm_core.samplers.reverse_step import (
    VARIANCES,
    count_modes,
    exact_reverse,
    gaussian_misfit,
    gaussian_reverse,
    posterior_coefficients,
    principal_marginal,
    reverse_variances,
    step_variances,
)

ROOT = normal(3, 3, 3)
MIXTURES = {
    "round": DATASETS["two_moons"](),
    "full": GaussianMixture([0.5, 0.2, 0.3], normal(3, 2), ROOT[:, :2, :2] @ ROOT[:, :2, :2].mT),
    "three dimensions": GaussianMixture([0.5, 0.2, 0.3], normal(3, 3), ROOT @ ROOT.mT),
}
PATHS = {
    "linear": SCHEDULES["linear"](40, rescale=True),
    "cosine": SCHEDULES["cosine"](20),
    "karras": SCHEDULES["karras"](20),
    "flow": SCHEDULES["flow"](10),  # alpha_T = 0
    "strides": SCHEDULES["linear"](1000).subsample(7),
    "one step": SCHEDULES["cosine"](1),
}
mixtures = pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
paths = pytest.mark.parametrize("schedule", PATHS.values(), ids=PATHS)


def times(schedule):
    return sorted({1, (schedule.T + 1) // 2, schedule.T})


def noisy(mixture, schedule, t, n=4):
    """A few points as they are found at t, [n, D]."""
    x0 = mixture.sample(n, generator=torch.Generator().manual_seed(t))
    return schedule.jump(x0, t, normal(n, mixture.D))


# ---- the exact law ----


@mixtures
@paths
def test_the_exact_law_is_bayes_rule(mixture, schedule):
    """p(y | x) = p_{t-1}(y) N(x; ratio y, std^2) / p_t(x), at points y of the law itself and elsewhere."""
    for t in times(schedule):
        ratio, std = schedule.transition(t - 1, t)
        before, now = (mixture.noised(schedule.alpha[i].item(), schedule.sigma[i].item()) for i in (t - 1, t))
        for x in noisy(mixture, schedule, t):
            law = exact_reverse(mixture, x, schedule, t)
            y = torch.cat([law.sample(20, generator=torch.Generator().manual_seed(0)), normal(20, mixture.D)])
            step = Normal(ratio * y, std).log_prob(x).sum(-1)
            bayes = before.log_prob(y) + step - now.log_prob(x[None])
            close(law.log_prob(y).clamp(min=-500), bayes.clamp(min=-500), 1e-7)  # further out, rounding of exp(-1e5)


def test_from_pure_noise_nothing_is_learnt():
    """At alpha = 0 the posterior is the prior."""
    schedule, mixture = PATHS["flow"], MIXTURES["full"]
    law = exact_reverse(mixture, torch.tensor([3.0, -5.0]), schedule, schedule.T)
    before = mixture.noised(schedule.alpha[-2].item(), schedule.sigma[-2].item())
    close(law.weights, mixture.weights)
    close(law.log_prob(normal(9, 2)), before.log_prob(normal(9, 2)))


@paths
def test_of_a_finite_set_the_last_step_chooses_a_point(schedule):
    """x_0 given x_1 for point masses: the points themselves, by the likelihood of each."""
    points, x = normal(5, 2), normal(1, 2, seed=2)[0]
    law = exact_reverse(GaussianMixture(1.0, points, 0.0), x, schedule, 1)
    alpha, sigma = schedule.alpha[1].item(), schedule.sigma[1].item()
    close(law.weights, Normal(alpha * points, sigma).log_prob(x).sum(-1).softmax(0))
    close(law.means, points)
    assert (law.variances == 0).all()


@pytest.mark.parametrize("t", [0, 11, -1])
def test_there_is_no_step_outside_the_schedule(t):
    mixture = MIXTURES["full"]
    with pytest.raises(ValueError, match="10"):
        exact_reverse(mixture, torch.zeros(2), PATHS["flow"], t)
    with pytest.raises(ValueError, match="10"):
        gaussian_reverse(MixtureDenoiser(mixture), torch.zeros(1, 2), PATHS["flow"], t)


# ---- DDPM's Gaussian ----


@mixtures
@paths
def test_the_gaussian_is_exact_for_data_at_the_point_that_the_denoiser_names(mixture, schedule):
    """q(x_{t-1} | x_t, x0) is the exact law of x_{t-1} for data that are nothing but x0."""
    for t in times(schedule):
        x = noisy(mixture, schedule, t)
        mean, variance = gaussian_reverse(MixtureDenoiser(mixture), x, schedule, t)
        x0 = mixture.denoise(x, schedule.alpha[t].item(), schedule.sigma[t].item())
        for i in range(len(x)):
            law = exact_reverse(GaussianMixture(1.0, x0[i : i + 1], 0.0), x[i], schedule, t)
            close(mean[i], law.means[0], 1e-10)
            close(variance, law.variances[0, 0], 1e-10)


@mixtures
@paths
def test_a_perfect_denoiser_gives_the_exact_mean(mixture, schedule):
    """DDPM's mean is exact; only its shape and its variance are approximations."""
    for t in times(schedule):
        x = noisy(mixture, schedule, t)
        mean, _ = gaussian_reverse(MixtureDenoiser(mixture), x, schedule, t, "beta")
        close(mean, torch.stack([exact_reverse(mixture, row, schedule, t).mean for row in x]), 1e-9)


@paths
def test_going_back_from_x_t_restores_the_law_of_x_t_minus_1_given_x0(schedule):
    """Laws of total mean and variance: x_t = alpha_t x0 + sigma_t eps goes to alpha_{t-1} x0 + sigma_{t-1} eps."""
    of_x0, of_x = posterior_coefficients(schedule)
    close(of_x0 + of_x * schedule.alpha[1:], schedule.alpha[:-1], 1e-10)
    inside = reverse_variances(schedule, "beta_tilde")
    close((inside + of_x**2 * schedule.sigma[1:] ** 2).sqrt(), schedule.sigma[:-1], 1e-10)
    assert of_x0[0] == 1 and of_x[0] == 0 and inside[0] == 0


@pytest.mark.parametrize("path", ["linear", "cosine", "strides"])
def test_the_variance_called_beta_is_beta(path):
    """Ho et al. name one of their two choices so."""
    close(step_variances(PATHS[path]), PATHS[path].betas, 1e-10)


def test_unknown_variance_lists_the_known_ones():
    with pytest.raises(KeyError, match=", ".join(VARIANCES)):
        gaussian_reverse(MixtureDenoiser(MIXTURES["full"]), torch.zeros(1, 2), PATHS["flow"], 3, "large")


# ---- how far apart they are ----


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("S", [0.3, 1.0, 2.0])
def test_misfit_of_one_gaussian(S, variance, generator):
    """Against the closed form; for unit-variance data beta is exact, and the estimate has no error at all."""
    data, schedule, x = GaussianMixture(1.0, [[1.0, -0.5]], S**2), PATHS["cosine"], normal(2)
    exact = exact_reverse(data, x, schedule, 5)
    mean, v = gaussian_reverse(MixtureDenoiser(data), x[None], schedule, 5, variance)
    value, error = gaussian_misfit(exact, mean[0], v, n=100_000, generator=generator)
    laws = (
        MultivariateNormal(m, s * torch.eye(2, dtype=f64))
        for m, s in ((exact.mean, exact.variances[0, 0].item()), (mean[0], v))
    )
    expected = kl_divergence(*laws).item()
    if S == 1 and variance == "beta":
        assert value == pytest.approx(0, abs=1e-9) == error
    else:
        assert abs(value - expected) < 5 * error < 0.9 * expected
        next_mean, v = gaussian_reverse(MixtureDenoiser(data), x[None], schedule, 6, variance)  # off by one index
        value, error = gaussian_misfit(exact, next_mean[0], v, n=100_000, generator=generator)
        assert abs(value - expected) > 5 * error


def test_misfit_is_the_divergence_that_quadrature_finds(generator):
    """In one dimension, for a law with two humps: sum of p log(p / q) on a fine grid."""
    exact = GaussianMixture([0.7, 0.3], [[-1.0], [1.5]], [0.1, 0.3])
    mean, v = exact.mean, 0.8
    y = torch.linspace(-12, 12, 20_001, dtype=f64)[:, None]
    p = exact.log_prob(y)
    expected = (p.exp() * (p - Normal(mean, v**0.5).log_prob(y)[:, 0])).sum().item() * 24 / 20_000
    value, error = gaussian_misfit(exact, mean, v, generator=generator)
    assert abs(value - expected) < 5 * error < 0.1


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_more_noise_a_step_adds_the_less_gaussian_it_is(variance, generator):
    """Two points, seen from between them at alpha_bar = 0.5: one hump after small steps, two after large ones."""
    data, x, seen = GaussianMixture(1.0, [[-1.0, 0.0], [1.0, 0.0]], 0.01), torch.zeros(2), []
    for beta in (0.01, 0.1, 0.2, 0.3, 0.4):
        schedule = from_betas(torch.tensor([1 - 0.5 / (1 - beta), beta], dtype=f64))
        exact = exact_reverse(data, x, schedule, 2)
        mean, v = gaussian_reverse(MixtureDenoiser(data), x[None], schedule, 2, variance)
        seen.append((gaussian_misfit(exact, mean[0], v, generator=generator), count_modes(exact)))
    misfit, count = zip(*seen, strict=True)
    assert count[0] == 1 and count[-1] == 2 and sorted(count) == list(count)
    assert abs(misfit[0].value) < 1e-3
    assert all(b.value - a.value > 3 * (a.error + b.error) for a, b in pairwise(misfit))


@pytest.mark.parametrize("apart, count", [(1.9, 1), (2.1, 2)])
def test_two_equal_bells_are_two_humps_from_two_deviations_on(apart, count):
    """In any direction, whatever their size."""
    for size, direction in ((1.0, [1.0, 0.0]), (0.01, [0.6, -0.8])):
        centre = size * apart * torch.tensor([direction], dtype=f64)
        assert count_modes(GaussianMixture(1.0, torch.cat([0 * centre, centre]), size**2)) == count


def test_a_hump_that_nobody_sees_is_none():
    faint = GaussianMixture([1.0, 0.005], [[0.0], [6.0]], 1.0)
    assert count_modes(faint) == 1 and count_modes(faint, least=0.001) == 2


def test_the_principal_marginal_is_the_law_of_the_widest_component():
    """It is what the page draws of a step back."""
    mixture = MIXTURES["three dimensions"]
    axis, marginal = principal_marginal(mixture)
    x = mixture.sample(50_000, generator=torch.Generator().manual_seed(0))
    other = torch.nn.functional.normalize(normal(100, 3), dim=1)
    widest = ((other @ mixture.covariance) * other).sum(-1).max()
    close(axis.norm(), 1.0)
    assert marginal.covariance[0, 0] >= widest
    seen = x @ axis - marginal.mean
    off = lambda x: abs(x.var() / marginal.covariance[0, 0] - 1) / (x**2).std() * x.var() * len(x) ** 0.5  # noqa: E731
    assert stats.ks_2samp(x @ axis, marginal.sample(50_000, generator=torch.Generator().manual_seed(1))[:, 0])[1] > 1e-3
    assert off(seen) < 4 < off(wider(seen[:, None])[:, 0])


def test_a_gaussian_without_width_is_refused(generator):
    with pytest.raises(ValueError, match="above 0"):
        gaussian_misfit(MIXTURES["full"], torch.zeros(2), 0.0, generator=generator)
