import pytest
import torch
from core_common import close, last, normal

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, MixtureDenoiser, ParticleNoise
from ddpm_core.samplers.image_edits import Inpainting, back_from, interpolated_noise

MOONS = DATASETS["two_moons"]()
EXACT = MixtureDenoiser(MOONS)


def test_what_is_known_stays_to_the_last_bit(variant):
    """Under every sampler and option: one coordinate of each point, and all of one point."""
    name, options = variant
    if name == "adaptive":
        pytest.skip("follows v to the end")
    noise = ParticleNoise(0, 9)
    known = MOONS.sample(9, generator=torch.Generator().manual_seed(1)).float()
    mask = torch.tensor([True, False]).repeat(9, 1)
    mask[0] = True
    schedule = SCHEDULES["cosine"](12)
    x = last(SAMPLERS[name](Inpainting(EXACT, known, mask), schedule, noise.start(), noise=noise, **options))
    assert torch.equal(x[mask], known[mask]) and x.isfinite().all()
    assert (x[~mask] - known[~mask]).abs().max() > 0.01


def test_what_is_unknown_fits_what_is_known():
    """Of points whose first coordinate is that of a data point, nearly all end where the data are."""
    n, noise = 400, ParticleNoise(0, 400)
    known = MOONS.sample(n, generator=torch.Generator().manual_seed(1)).float()
    mask = torch.tensor([True, False])

    def off(x):
        return (MOONS.log_prob(x.double()) < -6).double().mean()

    schedule = SCHEDULES["cosine"](200)
    free = last(SAMPLERS["ddpm"](EXACT, schedule, noise.start(), noise=noise))
    pasted = torch.where(mask, known, free)
    assert off(last(SAMPLERS["ddpm"](Inpainting(EXACT, known, mask), schedule, noise.start(), noise=noise))) < 0.1
    assert off(pasted) > 0.2


def test_the_way_back_is_the_end_of_the_whole_way():
    """From where a DDIM walk was at t, the rest of the walk; t counts as it did."""
    schedule, noise = SCHEDULES["cosine"](20), ParticleNoise(0, 5)
    whole = list(SAMPLERS["ddim"](EXACT, schedule, noise.start().double(), noise=noise))
    step = next(s for s in whole if s.t == 8)
    shorter, x = back_from(step.prediction.x0, schedule, 8, step.prediction.eps)
    close(x, step.x, 1e-10)
    rest = list(SAMPLERS["ddim"](EXACT, shorter, x, noise=noise))
    assert [s.t for s in rest] == list(range(8, -1, -1))
    close(rest[-1].x, whole[-1].x, 1e-8)


def test_a_little_noise_changes_little():
    schedule, x0 = SCHEDULES["cosine"](100), MOONS.sample(50, generator=torch.Generator().manual_seed(0))

    def moved(t):
        shorter, x = back_from(x0, schedule, t, normal(50, 2))
        return (last(SAMPLERS["ddim"](EXACT, shorter, x, noise=None)) - x0).norm(dim=1).mean()

    assert moved(5) < 0.5 * moved(50) < 0.5 * moved(99)


@pytest.mark.parametrize("t", [0, -1, 11])
def test_there_is_no_way_back_from_beyond_the_schedule(t):
    with pytest.raises(ValueError, match=r"1 \.\. 10"):
        back_from(torch.zeros(1, 2), SCHEDULES["linear"](10), t, torch.zeros(1, 2))


def test_between_two_noises_lies_noise():
    """The ends are the two, to the last bit; every length in between is theirs; equal steps are equal angles."""
    a, b = normal(1, 28, 28, seed=1), normal(1, 28, 28, seed=2)
    b = b * (a.norm() / b.norm())
    way = interpolated_noise(a, b, torch.linspace(0, 1, 5))
    assert way.shape == (5, 1, 28, 28) and torch.equal(way[0], a) and torch.equal(way[-1], b)
    close(way.flatten(1).norm(dim=1), a.norm().expand(5), 1e-6)
    close((way[1:] - way[:-1]).flatten(1).norm(dim=1).std(), 0.0, 1e-5)
    close(interpolated_noise(a, a, torch.tensor([0.0, 0.3, 1.0])), a.expand(3, 1, 28, 28), 1e-6)
