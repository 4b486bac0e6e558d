from itertools import pairwise

import pytest
import torch
from core_common import close, normal
from saboteurs import wider

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, MixtureDenoiser, ParticleNoise, load_checkpoint
from ddpm_core.samplers.langevin import annealed, langevin

MOONS = MixtureDenoiser(DATASETS["two_moons"]())


def end(moves):
    *_, move = moves
    return move.x


# ---- what a move is ----


def test_moves_are_counted_and_each_has_noise_of_its_own():
    """Noise that comes twice makes the moves depend on one another."""
    noise, schedule, keys = ParticleNoise(0, 5), SCHEDULES["karras"](4), []

    def counting(k):
        keys.append(k)
        return noise(k)

    moves = list(annealed(MOONS, schedule, normal(5, 2), steps_per_level=3, noise=counting))
    levels = [t for t in (4, 3, 2, 1) for _ in range(3)]
    assert [move.k for move in moves] == keys == list(range(1, 13))
    assert [(move.alpha, move.sigma) for move in moves] == [(1.0, schedule.sigma[t].item()) for t in levels]
    assert all(move.x.shape == (5, 2) and move.x.isfinite().all() for move in moves)


@pytest.mark.parametrize("path", SCHEDULES)
def test_annealing_is_langevin_at_one_level_after_the_other(path):
    """There is nothing else in it."""
    schedule, noise, x = SCHEDULES[path](5), ParticleNoise(0, 5), normal(5, 2)
    whole = list(annealed(MOONS, schedule, x, steps_per_level=4, step=0.2, noise=noise))
    for level, t in enumerate(range(5, 0, -1)):
        alpha, sigma = schedule.alpha[t].item(), schedule.sigma[t].item()
        later = lambda k, first=4 * level: noise(first + k)  # noqa: E731
        x = end(langevin(MOONS, x, alpha, sigma, step=0.2, steps=4, noise=later))
        assert torch.equal(whole[4 * level + 3].x, x)


def test_without_noise_a_move_climbs_the_log_density():
    """By half a step along its gradient, taken by autograd; the noise comes on top, by the root of a step."""
    x, z, alpha, sigma, h = normal(9, 2), normal(9, 2, seed=2), 0.8, 0.6, 0.01
    y = x.clone().requires_grad_()
    MOONS.mixture.noised(alpha, sigma).log_prob(y).sum().backward()
    (still,), (moved,) = (
        langevin(MOONS, x, alpha, sigma, step=h / sigma**2, steps=1, noise=lambda k, z=z: z) for z in (0 * z, z)
    )
    close(still.x, x + h / 2 * y.grad, 1e-9)
    close(moved.x - still.x, h**0.5 * z, 1e-9)


def test_particle_i_does_not_depend_on_how_many_there_are():
    """Runs of different sizes are compared particle by particle."""
    few, many = (
        end(annealed(MOONS, SCHEDULES["flow"](6), noise.start().double(), steps_per_level=5, noise=noise))
        for noise in (ParticleNoise(3, 4), ParticleNoise(3, 300))
    )
    close(few, many[:4], 1e-9)


def test_a_network_in_single_precision_stays_there():
    noise = ParticleNoise(0, 5)
    x = end(annealed(load_checkpoint("two_moons"), SCHEDULES["linear"](5), noise.start(), noise=noise))
    assert x.dtype == torch.float32 and x.isfinite().all()


# ---- where it leads ----


def test_it_settles_in_the_noised_law_made_wider_by_its_step(gaussian):
    """For one Gaussian the chain is linear: along an axis of variance V, in the end V / (1 - step sigma^2 / 4V)."""
    alpha, sigma, step, n = 0.8, 0.6, 1.0, 40_000
    noise, law = ParticleNoise(0, n), gaussian.noised(0.8, 0.6)
    x = end(langevin(MixtureDenoiser(gaussian), 0 * normal(n, 2), alpha, sigma, step=step, steps=60, noise=noise))
    V = law.variances[0]
    broad = V / (1 - step * sigma**2 / (4 * V))
    unit = (x - law.mean) @ law.axes[0] / broad.sqrt()
    assert (broad / V - 1 > 0.05).any() and (broad / V < 4 / (4 - step)).all()
    assert (unit.mean(0).abs() < 5 / n**0.5).all()
    off = lambda unit: (unit.var(0) - 1).abs().max() / (2 / n) ** 0.5  # noqa: E731
    assert off(unit) < 5 < off(wider(unit))


def share_on_the_right(x):
    return (x[:, 0] > 0).double().mean().item()


def test_only_annealing_finds_how_much_each_mode_weighs():
    """80 to 20 and far apart. At the lowest level alone, every start keeps its own share; 4 standard errors."""
    data = MixtureDenoiser(GaussianMixture([0.8, 0.2], [[2.0, 0.0], [-2.0, 0.0]], 0.05))
    n, schedule, noise = 800, SCHEDULES["karras"](16, 0.1, 10.0), ParticleNoise(0, 800)
    balanced = torch.cat([torch.ones(n // 2, 1), -torch.ones(n // 2, 1)]) * torch.tensor([[2.0, 0.0]])
    error = 4 * (0.8 * 0.2 / n) ** 0.5
    for start in (balanced + noise.start(), 5 * noise.start()):
        x = end(langevin(data, start.double(), 1.0, 0.1, steps=400, noise=noise))
        assert abs(share_on_the_right(x) - 0.5) < error + 0.02  # those that noise sent across the middle
        assert (x[:, 0].abs() - 2).abs().max() < 2
    x = end(annealed(data, schedule, schedule.scale[-1] * noise.start().double(), noise=noise))
    assert abs(share_on_the_right(x) - 0.8) < error


def test_more_moves_at_each_level_come_closer():
    """Too few, and the particles arrive with the shares of the level where they froze."""
    data = MixtureDenoiser(GaussianMixture([0.8, 0.2], [[2.0, 0.0], [-2.0, 0.0]], 0.05))
    schedule, noise = SCHEDULES["karras"](16, 0.1, 10.0), ParticleNoise(0, 800)
    shares = [
        share_on_the_right(
            end(annealed(data, schedule, schedule.scale[-1] * noise.start().double(), steps_per_level=m, noise=noise))
        )
        for m in (1, 10, 100)
    ]
    assert all(a < b for a, b in pairwise(shares))
