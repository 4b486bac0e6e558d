import math

import numpy as np
import pytest
import torch
from core_common import close, normal
from scipy import stats

from ddpm_core import DATASETS, EmpiricalDenoiser, GaussianMixture, MixtureDenoiser, Prediction, load_checkpoint
from ddpm_core.analysis.memorisation import perplexity, score_position

ROLL = DATASETS["swiss_roll"]()
LEVELS = [(0.8, 0.6), (1.0, 0.3), (0.05, 1.0), (1.0, 5.0)]


def training_set(n):
    return EmpiricalDenoiser(ROLL.sample(n, generator=torch.Generator().manual_seed(1)))


def noised(n, alpha, sigma):
    return alpha * ROLL.sample(n, generator=torch.Generator().manual_seed(2)) + sigma * normal(n, 2)


# ---- how many points matter ----


@pytest.mark.parametrize("alpha, sigma", LEVELS)
def test_perplexity_is_two_to_the_bits_of_bayes_rule(alpha, sigma):
    """Weights and entropy by scipy, in bits."""
    root = normal(6, 2, 2)
    mixture = GaussianMixture(torch.arange(1.0, 7.0), normal(6, 2), root @ root.mT)
    x = normal(5, 2, seed=3)
    joint = [
        w * stats.multivariate_normal(alpha * m, alpha**2 * C + sigma**2 * np.eye(2)).pdf(x)
        for w, m, C in zip(mixture.weights.numpy(), mixture.means.numpy(), mixture.covariances.numpy(), strict=True)
    ]
    close(perplexity(mixture, x, alpha, sigma), 2 ** stats.entropy(joint, base=2), 1e-9)


@pytest.mark.parametrize("n", [50, 500])
def test_all_points_matter_in_pure_noise_and_one_at_last(n):
    """The two ends of what a perfect model of a finite set does."""
    mixture = training_set(n).mixture
    close(perplexity(mixture, normal(20, 2), 0.0, 1.0), torch.full((20,), float(n)), 1e-9)
    close(perplexity(mixture, mixture.means[:20], 1.0, 1e-5), torch.ones(20), 1e-9)


def test_fewer_and_fewer_points_matter_on_the_way_to_data_and_later_if_there_are_more():
    """The collapse moves to smaller noise as the training set grows (Biroli et al. 2024)."""
    sizes, sigmas = (50, 500, 5000), (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    mean = torch.tensor(
        [[perplexity(training_set(n).mixture, noised(200, 1.0, s), 1.0, s).mean() for s in sigmas] for n in sizes]
    )
    assert (mean.diff(dim=1) < 0).all() and (mean.diff(dim=0) > 0).all()
    collapse = [next(s for s, value in zip(sigmas, row, strict=True) if value < 3) for row in mean]
    assert collapse == sorted(collapse, reverse=True) and len(set(collapse)) == 3


# ---- between memory and law ----


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, -0.5])
@pytest.mark.parametrize("off", [0.0, 0.7])
def test_a_model_made_between_the_two_is_found_there(share, off):
    """eps = (1 - share) truth + share empirical, and `off` at right angles to their difference at every point."""
    memory, truth, x = training_set(50), MixtureDenoiser(ROLL), noised(300, 0.9, 0.4)

    def model(x, alpha, sigma):
        known, exact = memory(x, alpha, sigma).eps, truth(x, alpha, sigma).eps
        across = (known - exact).flip(1) * torch.tensor([1.0, -1.0])
        return Prediction.of(x, alpha, sigma, eps=exact + share * (known - exact) + off * across)

    found = score_position(model, memory, truth, x, 0.9, 0.4)
    close(found.position, share, 1e-10)
    close(found.to_truth / found.apart, share**2 + off**2, 1e-10)
    close(found.to_empirical / found.apart, (1 - share) ** 2 + off**2, 1e-10)


def test_distances_are_those_of_eps_per_coordinate():
    """The position is a ratio of such distances."""
    points, x = normal(7, 2), normal(9, 2)
    memory, nothing = EmpiricalDenoiser(points), lambda x, a, s: Prediction.of(x, a, s, eps=0 * x)
    eps = (x - 0.8 * memory.mixture.denoise(x, 0.8, 0.6)) / 0.6
    close(score_position(nothing, memory, nothing, x, 0.8, 0.6).to_empirical, np.mean(eps.numpy() ** 2), 1e-12)


def test_where_memory_and_law_agree_there_is_no_between():
    truth = MixtureDenoiser(ROLL)
    found = score_position(truth, truth, truth, normal(5, 2), 0.8, 0.6)
    assert found[:3] == (0.0, 0.0, 0.0) and math.isnan(found.position)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_a_network_that_saw_fresh_data_knows_the_law(sigma):
    """Fifty points say something else there; the network, which never saw them, does not follow."""
    x, alpha = noised(500, (1 - sigma**2) ** 0.5, sigma).float(), (1 - sigma**2) ** 0.5
    found = score_position(load_checkpoint("swiss_roll"), training_set(50), MixtureDenoiser(ROLL), x, alpha, sigma)
    assert found.to_truth < 0.1 * found.to_empirical and abs(found.position) < 0.1
