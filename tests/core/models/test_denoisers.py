import math

import numpy as np
import pytest
import torch
from core_common import close, last, normal, roused
from scipy import stats
from torch import nn

from ddpm_core import (
    DATASETS,
    MLP,
    SAMPLERS,
    SCHEDULES,
    EmpiricalDenoiser,
    GaussianMixture,
    MixtureDenoiser,
    NetworkDenoiser,
    ParticleNoise,
)
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.models.prepared import ask_at_once, prepared

LEVELS = [(0.8, 0.6), (1.0, 3.0), (0.3, 0.7), (0.02, 1.0), (1.0, 0.05)]


class Oracle(nn.Module):
    """What a perfectly trained network would be: it knows `target` of a mixture in variance-preserving coordinates."""

    def __init__(self, mixture, target):
        super().__init__()
        self.mixture, self.target = mixture, target

    def forward(self, x, lam):
        alpha, sigma = (torch.sigmoid(c * lam).sqrt().item() for c in (2, -2))
        return getattr(MixtureDenoiser(self.mixture)(x, alpha, sigma), self.target)


# ---- exact denoisers ----


@pytest.mark.parametrize("alpha, sigma", LEVELS)
def test_empirical_denoiser_is_bayes_rule_on_a_finite_set(alpha, sigma):
    """Weights N(x; alpha y_i, sigma^2 I), by scipy, times the points."""
    points = normal(20, 2)
    x = alpha * points[:7] + sigma * normal(7, 2)
    weights = np.stack([stats.multivariate_normal(alpha * y, sigma**2).pdf(x) for y in points], -1)
    expected = torch.from_numpy(weights / weights.sum(1, keepdims=True)) @ points
    close(EmpiricalDenoiser(points)(x, alpha, sigma).x0, expected, 1e-10)
    close(MixtureDenoiser(GaussianMixture(1.0, points, 0.0))(x, alpha, sigma).x0, expected, 1e-10)


@pytest.mark.parametrize("alpha, sigma", LEVELS)
@pytest.mark.parametrize("name", DATASETS)
def test_exact_score_is_that_of_the_noised_law(name, alpha, sigma):
    """Score and denoiser are one answer in two coordinates (Tweedie)."""
    mixture = DATASETS[name]()
    x = alpha * mixture.means[:10] + sigma * normal(len(mixture.means[:10]), 2)
    close(MixtureDenoiser(mixture)(x, alpha, sigma).score, mixture.noised(alpha, sigma).score(x), 1e-9)


@pytest.mark.parametrize("sigma", [1e-4, 1e-3, 0.01])
@pytest.mark.parametrize("name", ["swiss_roll", "ink_drop"])
def test_single_precision_is_enough_near_data(name, sigma):
    """As x - alpha x0-hat, divided by sigma, the noise lost 1 % at 1e-3."""
    mixture = DATASETS[name]()
    exact, x = MixtureDenoiser(mixture), mixture.sample(200, generator=torch.Generator().manual_seed(0)).float()
    views = [(p.eps, p.v, p.x0) for p in (exact(y, 1.0, sigma) for y in (x, x.double()))]
    for found, expected in zip(*views, strict=True):
        assert (found - expected).norm() < 1e-4 * expected.norm()


def test_a_perfect_model_of_a_finite_set_memorises_it():
    """Sampling ends on the training points, on every one of them, where the law that they came from gives new ones."""
    roll = DATASETS["swiss_roll"]()
    points = roll.sample(50, generator=torch.Generator().manual_seed(0))
    schedule = SCHEDULES["karras"](40)
    start = schedule.sigma[-1] * normal(600, 2)

    def to_nearest(denoiser):
        return torch.cdist(last(SAMPLERS["ddim"](denoiser, schedule, start, noise=None)), points).min(1)

    distance, which = to_nearest(EmpiricalDenoiser(points))
    assert distance.quantile(0.95) < 1e-3 and len(which.unique()) == 50
    assert to_nearest(MixtureDenoiser(roll))[0].median() > 0.05


# ---- networks as denoisers ----


@pytest.mark.parametrize("alpha, sigma", LEVELS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_perfect_network_is_the_exact_denoiser(target, alpha, sigma):
    """Whatever it predicts and in whatever coordinates it is asked, though it only ever sees x / hypot and lam."""
    mixture = DATASETS["two_moons"]()
    x = alpha * mixture.means[:10] + sigma * normal(10, 2)
    asked = NetworkDenoiser(Oracle(mixture, target), target)(x, alpha, sigma)
    exact = MixtureDenoiser(mixture)(x, alpha, sigma)
    for view in ("x0", "eps", "v", "score"):
        close(getattr(asked, view), getattr(exact, view), 1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_one_point_has_one_clean_version_in_all_coordinates(target):
    """c x at level (c alpha, c sigma) is x at (alpha, sigma): the same x0 and eps, a v that is c times as long."""
    denoiser, x = NetworkDenoiser(roused(MLP(width=16, depth=2)), target), normal(9, 2)
    alpha, sigma = math.cos(0.9), math.sin(0.9)
    here = denoiser(x, alpha, sigma)
    for c in (1 / alpha, 1 / (alpha + sigma), 0.01, 100.0):  # variance exploding, flow, anything
        there = denoiser(c * x, c * alpha, c * sigma)
        close(there.x0, here.x0, 1e-10)
        close(there.eps, here.eps, 1e-10)
        close(there.v, c * here.v, 1e-10)


@pytest.mark.parametrize("end, nearly", [((0.0, 1.0), (1e-30, 1.0)), ((1.0, 0.0), (1.0, 1e-30))])
def test_a_v_network_answers_at_both_ends(end, nearly):
    """Finitely, though lam is infinite there, and as it does next to them."""
    denoiser = NetworkDenoiser(roused(MLP(width=16, depth=2)))
    there, close_by = (denoiser(normal(9, 2), *level) for level in (end, nearly))
    assert there.x0.isfinite().all() and there.eps.isfinite().all()
    close(there.x0, close_by.x0)
    close(there.eps, close_by.eps)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_prepared_for_a_schedule_it_says_the_same(target, schedule):
    """Level by level, or at all of them in one pass; also at levels it was not prepared for."""
    levels, x = SCHEDULES[schedule](20).levels[1:-1], normal(9, 2)
    denoiser = NetworkDenoiser(roused(MLP(width=16, depth=2)), target)
    ready, elsewhere = prepared(denoiser, levels), prepared(denoiser, SCHEDULES["cosine"](7).levels)
    together = ask_at_once(ready, [x] * len(levels), levels)
    for level, at_once in zip(levels, together, strict=True):
        there = denoiser(x, *level)
        close(ready(x, *level).x0, there.x0)
        close(at_once.x0, there.x0)
        assert torch.equal(elsewhere(x, *level).x0, there.x0)


@pytest.mark.parametrize("sampler", [s for name, s in SAMPLERS.items() if name != "adaptive"])  # finds its own levels
def test_a_walk_asks_once_what_all_its_noise_levels_are(sampler):
    net, asked = roused(MLP(width=16, depth=2)), []
    net.level.register_forward_hook(lambda *call: asked.append(call))
    noise = ParticleNoise(0, 9)
    last(sampler(NetworkDenoiser(net.float()), SCHEDULES["cosine"](20), noise.start(), noise=noise))
    assert len(asked) == 1


def test_an_eps_network_cannot_answer_from_pure_noise():
    prediction = NetworkDenoiser(MLP(width=16, depth=2), "eps")(torch.zeros(1, 2), 0.0, 1.0)
    with pytest.raises(ValueError, match="alpha = 0"):
        getattr(prediction, "x0")  # noqa: B009


def test_a_graph_is_built_for_nobody_but_who_asks_for_the_slope_in_x():
    """A walk over a network that is still learning would keep every step; a likelihood needs the slope of x0-hat."""
    denoiser, x = NetworkDenoiser(roused(MLP(width=16, depth=2))), normal(1, 2)
    ready = prepared(denoiser, SCHEDULES["flow"](2).levels)
    assert next(denoiser.net.parameters()).requires_grad and (0.5, 0.5) in ready.known
    for asked in (denoiser, ready):
        assert not asked(x, 0.5, 0.5).x0.requires_grad
        assert torch.autograd.gradcheck(lambda x, asked=asked: asked(x, 0.5, 0.5).x0, x.clone().requires_grad_())


def test_unknown_target_lists_the_known_ones():
    with pytest.raises(KeyError, match="v, eps, x0"):
        NetworkDenoiser(MLP(), "velocity")
