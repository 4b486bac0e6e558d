"""Trainings as streams: what is sent is what the network can do, and stopping loses nothing."""

import itertools

import numpy as np
import pytest
import torch

from ddpm_core import SAMPLERS, NetworkDenoiser, ParticleNoise
from ddpm_core.metrics.intervals import Measured
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.exhibits.train.stream import PARTICLES, WALK, learning, training_set
from ddpm_ui.recipes import RecipeError, mixture_of
from ddpm_ui.server import models
from ddpm_ui.server.wire import RANGE, Trajectory

TINY = Train(data="two_moons", steps=40, width=8, depth=2, batch=64)


def weights(denoiser: NetworkDenoiser) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(denoiser.net.parameters())


def taught(recipe: Train, run: str, after: str = "") -> Trajectory:
    return Trajectory.decode(learning(recipe, run, after))


@pytest.fixture(scope="module")
def lesson() -> Trajectory:
    return taught(TINY, "0" * 16)


def test_every_shot_is_a_walk_of_the_same_particles_from_noise(lesson):
    assert lesson.header["done"]
    assert list(lesson.shots) == sorted(lesson.shots)
    assert max(lesson.shots) == TINY.steps
    start = ParticleNoise(TINY.seed, PARTICLES).start().numpy()
    for shot in lesson.shots.values():
        assert shot.shape == (WALK.T + 1, PARTICLES, 2)
        assert np.abs(shot[-1] - start).max() < RANGE / 32767


def test_the_last_shot_is_what_the_kept_network_makes(lesson):
    denoiser, noise = models.find("0" * 16).denoiser, ParticleNoise(TINY.seed, PARTICLES)
    *_, last = SAMPLERS["ddim"](denoiser, WALK, WALK.scale[-1].item() * noise.start(), noise=noise)
    assert np.abs(lesson.shots[TINY.steps][0] - last.x.numpy()).max() < RANGE / 32767


def test_the_charts_get_what_they_draw(lesson):
    charts = lesson.header["charts"]
    (steps, loss), (_, floor), (_, above) = charts["train-loss"]
    assert steps == list(lesson.shots)
    assert len(loss) == len(above) == len(steps)
    assert floor[0] == floor[1] > 0
    assert above[-1] < above[0]
    for series in charts.values():
        assert all(len(x) == len(y) for x, y in series)
        assert np.isfinite([y for _, values in series for y in values]).all()


def test_an_excess_below_zero_stays_in_its_chart(monkeypatch):
    """Samples may be thinner than the data; a logarithmic axis shows how far off they are, either way."""
    thin = Measured(-0.5, 0.02, -0.04, 0.04, PARTICLES)
    monkeypatch.setattr("ddpm_ui.exhibits.train.stream.excess_nll", lambda *_: thin)
    (_, values), *_ = taught(TINY, "6" * 16).header["charts"]["train-distance"]
    assert set(values) == {0.5}


def test_what_nothing_is_lost_of_takes_no_room_in_a_chart():
    """Ten points are told apart at low noise, so their floor there is 0 but for rounding: hundreds of decades."""
    recipe = Train(data="two_moons", points=10, steps=20, width=8, depth=2, batch=64)
    (_, loss), (_, floor), (_, score) = taught(recipe, "4" * 16).header["charts"]["train-levels"]
    seen = [value for value in loss + floor + score if value is not None]
    assert None in floor and floor[0] is not None
    assert max(seen) / min(seen) < 1e12


def test_stopping_and_going_on_is_training_without_a_pause():
    """Bit for bit, wherever it was stopped."""
    stopped = learning(TINY, "1" * 16)
    for _ in itertools.takewhile(lambda part: int.from_bytes(part[:4], "little") != 5, stopped):
        pass  # until the first shot
    stopped.close()
    assert 0 < int(models.find("1" * 16).state["step"]) < TINY.steps
    taught(TINY, "2" * 16, after="1" * 16)
    assert torch.equal(weights(models.find("2" * 16).denoiser), weights(models.find("0" * 16).denoiser))


def test_a_finite_training_set_is_what_the_network_is_shown():
    recipe = Train(data="two_moons", points=10, steps=20, width=8, depth=2, batch=64)
    data = training_set(recipe, mixture_of("two_moons"))
    sample = data.sample(200, generator=torch.Generator().manual_seed(0))
    assert len(sample.unique(dim=0)) == 10
    near = next(m for m in taught(recipe, "3" * 16).header["metrics"] if m["name"] == "nearest_distance")
    assert near["value"] > 0
    assert near["floor"] > 0


def test_memory_for_networks_is_bounded_and_what_is_gone_is_said_to_be():
    model = models.find("0" * 16)
    for k in range(models.MAX_MODELS + 5):
        models.keep(f"{k:016x}", model)
    with pytest.raises(RecipeError, match="not on this server"):
        models.find(f"{3:016x}")
    assert models.find(f"{models.MAX_MODELS:016x}") is model
