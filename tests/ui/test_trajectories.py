"""Trajectories: the bytes of a stream are the mathematics of its recipe, and the same every time."""

import dataclasses

import numpy as np
import pytest
import torch

from ddpm_core import DATASETS, SCHEDULES, ParticleNoise, exact_flow
from ddpm_core.samplers.exact_flow import ACCURACY
from ddpm_ui.exhibits.forward.recipe import BESIDE, Forward
from ddpm_ui.exhibits.particles import destinations
from ddpm_ui.exhibits.registry import EXHIBITS
from ddpm_ui.exhibits.reverse.recipe import Reverse
from ddpm_ui.exhibits.solvers.recipe import Racer
from ddpm_ui.exhibits.solvers.stream import FOLLOWED, exact_places
from ddpm_ui.server.wire import RANGE, Trajectory, fixed_point, json_chunk

QUANTUM = RANGE / 32767
RECIPES = {
    "forward": Forward(T=40, rescale=True, n=300),
    "chain": Forward(T=40, rescale=True, n=300, beside="chain"),
    "reverse": Reverse(T=40, rescale=True, n=300, steps=10, denoiser="exact"),
    "race": Racer(nfe=8, n=300, denoiser="exact", sampler="dpmpp_2m_sde"),
}


TRAJECTORIES = {
    name: exhibit.streams[name].make for exhibit in EXHIBITS.values() for name in exhibit.streams if name in RECIPES
}


def decoded(kind, recipe=None):
    return Trajectory.decode(TRAJECTORIES[kind](recipe or RECIPES[kind]))


@pytest.mark.parametrize("kind", TRAJECTORIES)
def test_same_recipe_same_bytes(kind):
    first, second = (b"".join(TRAJECTORIES[kind](RECIPES[kind])) for _ in range(2))
    assert first == second


def test_forward_sends_the_closed_form_exactly():
    """x_t from the decoded pair is alpha_t x0 + sigma_t eps, up to the fixed-point grid, at every t."""
    recipe = RECIPES["forward"]
    trajectory, schedule = decoded("forward"), recipe.full_schedule
    noise = ParticleNoise(recipe.seed, recipe.n)
    x0, _ = noise.data(DATASETS[recipe.data]())
    for t in range(schedule.T + 1):
        np.testing.assert_allclose(trajectory.at(t), schedule.jump(x0, t, noise.start()), atol=2 * QUANTUM)


@pytest.mark.parametrize("data", ["concentric_rings", "two_spirals"])
def test_particles_are_coloured_by_where_the_flow_carries_them(data):
    """To the right class at least; DDIM, at the same cost, sends 6 in 100 to another one."""
    mixture, n = DATASETS[data](), 1000
    exact = mixture.component_of(exact_flow(mixture, ParticleNoise(3, n).start(), SCHEDULES["flow"](1), steps=32))
    assert (mixture.labels[destinations(data, 3, n)] != mixture.labels[exact]).double().mean() < 0.005


@pytest.mark.parametrize("data", ["swiss_roll", "ink_drop"])
def test_exact_places_are_as_exact_as_the_floor_of_the_strong_error_says(data):
    places = [exact_places(data, 0, FOLLOWED, (0.0, 1.0), steps=steps) for steps in (64, 128)]
    assert torch.equal(places[0], exact_places(data, 0, FOLLOWED, (0.0, 1.0)))
    assert (places[0] - places[1]).square().sum(-1).mean().sqrt() < ACCURACY


def test_the_chain_agrees_with_the_closed_form_and_says_so():
    series = decoded("chain").header["series"]
    assert series["value"][0] == 0
    assert 0 < np.median(series["value"]) < 3


@pytest.mark.parametrize("beside, grown", [("unshrunk", True), ("constant", False)])
def test_other_chains_say_their_variance(beside, grown):
    recipe = Forward(T=200, rescale=True, n=2000, beside=beside)
    walk = decoded("chain", recipe)
    values, header = walk.header["series"]["value"], walk.header
    for k in (0, len(values) // 2, -1):
        t = sorted(walk.frames)[k]
        expected = header["alpha"][t] ** 2 + header["sigma"][t] ** 2  # the data have unit variance
        assert values[k] == pytest.approx(expected, rel=5 * (2 / 2000) ** 0.5)
    assert (values[-1] > 5) == grown
    shown = walk.at(header["axis"]["last"])
    assert shown.var(0).mean() == pytest.approx(min(values[-1], RANGE**2), rel=0.1)


@pytest.mark.parametrize("T", [1, 1000])
@pytest.mark.parametrize("beside", BESIDE[1:])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_has_its_other_chains(schedule, beside, T):
    walk = decoded("chain", Forward(schedule=schedule, T=T, n=20, beside=beside))
    assert max(walk.frames) == walk.header["axis"]["last"] == T
    assert np.isfinite(walk.header["series"]["value"]).all()


def test_reverse_starts_at_the_particles_noise_and_ends_on_the_data():
    recipe = Reverse(T=200, rescale=True, n=400, steps=100, denoiser="exact")
    trajectory = decoded("reverse", recipe)
    start = ParticleNoise(recipe.seed, recipe.n).start() * recipe.walked().scale[-1]
    np.testing.assert_allclose(trajectory.at(trajectory.header["axis"]["last"]), start, atol=QUANTUM)
    distance = {m["name"]: m for m in trajectory.header["metrics"]}["sliced_w2"]
    assert distance["value"] < 2 * distance["floor"]
    x0_hat_at_end = trajectory.frames[0]
    np.testing.assert_array_equal(x0_hat_at_end[0], x0_hat_at_end[1])  # at t = 0 the estimate is the point


@pytest.mark.parametrize("kind", TRAJECTORIES)
def test_a_particle_does_not_change_when_others_join(kind):
    few = decoded(kind)
    many = decoded(kind, dataclasses.replace(RECIPES[kind], n=700))
    for t in [0, few.header["axis"]["last"]]:
        np.testing.assert_allclose(few.at(t), many.at(t)[:300], atol=2 * QUANTUM)
    np.testing.assert_array_equal(few.colours, many.colours[:300])


def test_both_ends_and_the_asked_times_are_stored():
    recipe = Forward(T=1000, n=10, film=(0, 17, 1000, 1999), beside="chain")
    times = set(decoded("chain", recipe).frames)
    assert {0, 17, 1000} <= times
    assert len(times) < 100  # the eye needs no more, and two hundred students share one Wi-Fi


def test_points_far_out_stick_to_the_edge_instead_of_wrapping():
    far = np.frombuffer(fixed_point(torch.tensor([[1e9, -1e9]])), "<i2")
    assert far.tolist() == [32767, -32767]


def test_chunks_are_aligned():
    """Typed arrays on the client need offsets that are multiples of 4."""
    for text in ["", "a", "ab", "abc", "abcd"]:
        assert len(json_chunk({"text": text})) % 4 == 0
