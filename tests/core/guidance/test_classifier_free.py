"""Guidance wraps denoisers: what it does to scores, to the count of evaluations, and to a network with labels."""

import pytest
import torch
from core_common import close, normal, roused
from image_common import stirred

from ddpm_core import DATASETS, MLP, SAMPLERS, SCHEDULES, MixtureDenoiser, NetworkDenoiser, ParticleNoise, UNet
from ddpm_core.guidance.classifier_free import ClassifierFree
from ddpm_core.guidance.labels import guided
from ddpm_core.models.prepared import PreparedNetwork

LEVELS = [(0.8, 0.6), (1.0, 3.0), (0.3, 0.7), (0.02, 1.0), (1.0, 0.05)]


@pytest.fixture(scope="module")
def net() -> UNet:
    torch.manual_seed(0)
    return stirred().requires_grad_(False)


@pytest.mark.parametrize("alpha, sigma", LEVELS)
@pytest.mark.parametrize("weight", [0, 1, 2.5])
def test_guidance_adds_up_scores(weight, alpha, sigma):
    """Of exact denoisers, so of densities: p(x) (p(x | label) / p(x))^weight, up to a constant."""
    moons = DATASETS["two_moons"]()
    one, x = moons.given_label(1), alpha * moons.means[:9] + sigma * normal(9, 2)
    score = ClassifierFree(MixtureDenoiser(one), MixtureDenoiser(moons), weight)(x, alpha, sigma).score
    of_one, of_all = (mixture.noised(alpha, sigma).score(x) for mixture in (one, moons))
    close(score, of_all + weight * (of_one - of_all), 1e-8)


@pytest.mark.parametrize("weight, cost", [(0, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_counts_what_guidance_costs(name, weight, cost):
    asked, noise = [], ParticleNoise(0, 3)
    exact = MixtureDenoiser(DATASETS["two_moons"]())

    def counted(x, alpha, sigma):
        asked.append(sigma)
        return exact(x, alpha, sigma)

    denoiser = ClassifierFree(counted, counted, weight)
    *_, step = SAMPLERS[name](denoiser, SCHEDULES["cosine"](6), noise.start(), noise=noise)
    assert step.nfe == len(asked) and step.nfe % cost == 0


def test_a_prepared_guide_says_the_same():
    """Of two networks, a good one and a bad one, each prepared on its own (Karras et al. 2024, autoguidance)."""
    good, bad = (NetworkDenoiser(roused(MLP(width=width, depth=2))) for width in (16, 8))
    schedule, x = SCHEDULES["cosine"](10), normal(9, 2)
    guide = ClassifierFree(good, bad, 2.0)
    level = schedule.levels[4]
    assert isinstance(guide.prepare(schedule.levels).conditional, PreparedNetwork)
    close(guide.prepare(schedule.levels)(x, *level).x0, guide(x, *level).x0)
    close(guide(x, *level).eps, 2 * good(x, *level).eps - bad(x, *level).eps)


def test_guidance_of_denoisers_that_predict_different_views():
    """One says x0, the other v; scores add up nevertheless."""
    exact, learned = MixtureDenoiser(DATASETS["two_moons"]()), NetworkDenoiser(roused(MLP(width=16, depth=2)))
    x, level = normal(9, 2), (0.8, 0.6)
    for one, other in ((exact, learned), (learned, exact)):
        expected = 3 * one(x, *level).score - 2 * other(x, *level).score
        close(ClassifierFree(one, other, 3.0)(x, *level).score, expected, 1e-8)


# ---- a network with labels ----


@pytest.mark.parametrize("alpha, sigma", LEVELS[:2])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("target", ["v", "eps", "x0"])
def test_guidance_exaggerates_what_a_label_changes(net, target, weight, alpha, sigma):
    """In every view; in one pass of twice as many points or in two, the same."""
    x, labels = normal(3, 1, 28, 28), torch.tensor([1, 4, 7])
    denoiser = NetworkDenoiser(net, target)
    told, untold = denoiser.given_label(labels), denoiser
    asked = guided(denoiser, labels, weight)(x, alpha, sigma)
    apart = ClassifierFree(told, untold, weight)(x, alpha, sigma)
    for view in ("x0", "eps", "v", "score"):
        a, b = (getattr(d(x, alpha, sigma), view) for d in (told, untold))
        close(getattr(asked, view), b + weight * (a - b), 1e-8)
        close(getattr(apart, view), b + weight * (a - b), 1e-8)


@pytest.mark.parametrize("weight, cost", [(0.0, 1), (1.0, 1), (2.0, 2)])
@pytest.mark.parametrize("name", ["ddim", "heun", "dpmpp_2m", "unipc_2", "paradigms", "adaptive"])
def test_guidance_costs_two_evaluations(net, name, weight, cost):
    """nfe counts images that went through the network, per particle, guidance or not."""
    asked, noise = [], ParticleNoise(0, 2, (1, 28, 28))
    hook = net.register_forward_hook(lambda _, args, out: asked.append(len(args[0])))
    denoiser, start = guided(NetworkDenoiser(net), 3, weight), noise.start().double()
    *_, step = SAMPLERS[name](denoiser, SCHEDULES["cosine"](4), start, noise=lambda t: noise(t).double())
    hook.remove()
    assert step.nfe == sum(asked) / 2 and set(asked) == {2 * cost}
