import copy
import math
from collections import deque
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from core_common import close, normal
from scipy import integrate, stats
from torch import nn

from ddpm_core import (
    DATASETS,
    MLP,
    SCHEDULES,
    GaussianMixture,
    MixtureDenoiser,
    Prediction,
    TrainConfig,
    TrainStep,
    train,
)
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.models.networks import LAM_RANGE
from ddpm_core.training.loop import learning_rate
from ddpm_core.training.weighting import WEIGHTINGS, loss_floor, noise_levels

MOONS = DATASETS["two_moons"]()


def small(**options) -> TrainConfig:
    return TrainConfig(**(dict(steps=12, batch=64, warmup=4) | options))


def network(seed=0, width=16) -> MLP:
    torch.manual_seed(seed)
    return MLP(width=width, depth=2)


def run(config, net=None, seed=0, **options) -> list[TrainStep]:
    generator = torch.Generator().manual_seed(seed)
    return list(train(net or network(), MOONS, config, generator=generator, **options))


def weights(net) -> torch.Tensor:
    return nn.utils.parameters_to_vector(net.parameters()).detach().clone()


class Exact(nn.Module):
    """A network that has nothing left to learn: the exact target, with a parameter that does not matter."""

    def __init__(self, mixture, target):
        super().__init__()
        self.mixture, self.target, self.idle = mixture, target, nn.Parameter(torch.zeros(()))

    def forward(self, x, lam):
        out = torch.empty_like(x)
        for i, level in enumerate(lam.flatten().tolist()):  # x is [levels, points, D]
            alpha, sigma = (1 / math.sqrt(1 + math.exp(c * level)) for c in (-2, 2))
            out[i] = getattr(MixtureDenoiser(self.mixture)(x[i], alpha, sigma), self.target)
        return out + 0 * self.idle


class Spy(nn.Module):
    """Remembers what it is asked."""

    def __init__(self):
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.zeros(())), []

    def forward(self, x, lam):
        self.asked.append((x, lam))
        return self.weight * x


def test_a_network_sees_the_level_that_it_is_told():
    """Data at one distant point m: x = alpha m + sigma eps with alpha^2 = 1 / (1 + exp(-2 lam)), and eps is normal.

    The levels are uniform in lam and stratified: of L of them, each 1 / L of the range holds one.
    """
    spy, config, m = Spy(), small(steps=40, lam_min=-3.0, lam_max=2.0), 100.0
    deque(train(spy, GaussianMixture(1.0, [[m]], 0.0), config, generator=torch.Generator().manual_seed(0)), maxlen=0)
    # x: steps, levels, points, 1; lam: steps, levels, 1
    x, lam = (torch.stack(asked).double() for asked in zip(*spy.asked, strict=True))
    assert x[0].numel() == config.batch
    alpha, sigma = torch.cos(torch.atan(torch.exp(-lam))), torch.sin(torch.atan(torch.exp(-lam)))
    assert stats.kstest(((x[..., 0] - m * alpha) / sigma).flatten(), "norm").pvalue > 1e-3
    told_late = torch.cos(torch.atan(torch.exp(-lam.roll(1, 0))))  # the levels of the step before
    assert stats.kstest(((x[..., 0] - m * told_late) / sigma).flatten(), "norm").pvalue < 1e-3
    share, levels = (lam[..., 0] - config.lam_min) / (config.lam_max - config.lam_min), lam.shape[1]
    assert ((share.sort(1).values * levels).floor() - torch.arange(levels)).abs().max() <= 1
    assert stats.kstest(share[:, 0], "uniform").pvalue > 1e-3


# What an error of x0 becomes in each view of the same x: eps = (x - alpha x0) / sigma, v = (alpha x - x0) / sigma.
PER_X0 = {"x0": lambda a, s: 1.0, "eps": lambda a, s: (a / s) ** 2, "v": lambda a, s: 1 / s**2}


@pytest.mark.parametrize("target", TARGETS)
def test_the_exact_denoiser_has_the_loss_that_nobody_can_beat(target):
    """For data N(0, S^2 I): the mean over lam of Var[x0 | x] = S^2 s^2 / (a^2 S^2 + s^2), in the target's units."""
    S, config = 0.5, small(steps=64, batch=128, target=target, lam_min=-2.0, lam_max=2.0)

    def variance(lam):
        a2 = 1 / (1 + math.exp(-2 * lam))
        return S**2 * (1 - a2) / (a2 * S**2 + 1 - a2) * PER_X0[target](a2**0.5, (1 - a2) ** 0.5)

    floor = integrate.quad(variance, config.lam_min, config.lam_max)[0] / (config.lam_max - config.lam_min)
    data, generator = GaussianMixture(1.0, torch.zeros(1, 2), S**2), torch.Generator().manual_seed(0)
    loss = torch.tensor([step.loss for step in train(Exact(data, target), data, config, generator=generator)])
    assert abs(loss.mean() - floor) < 4 * loss.std() / len(loss) ** 0.5 < 0.1 * floor
    deaf = Exact(GaussianMixture(1.0, torch.zeros(1, 2), 4 * S**2), target)  # the exact denoiser of other data
    generator = torch.Generator().manual_seed(0)
    loss = torch.tensor([step.loss for step in train(deaf, data, config, generator=generator)])
    assert loss.mean() - floor > 4 * loss.std() / len(loss) ** 0.5


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_floor_is_the_loss_of_the_exact_denoiser(target, weighting):
    """Under every weighting; the mean over noise levels of floor times weight against the training loop itself."""
    config = small(steps=12, batch=512, target=target, weighting=weighting)
    loss = torch.tensor([step.loss for step in run(config, Exact(MOONS, target))])
    lam, weight = noise_levels(config, (torch.arange(64) + 0.5) / 64)
    floor = (weight * loss_floor(MOONS, config, lam, n=256)).mean()
    assert abs(loss.mean() - floor) < 5 * loss.std() / len(loss) ** 0.5 + 0.02 * floor
    assert abs(loss.mean() - 1.3 * floor) > 5 * loss.std() / len(loss) ** 0.5 + 0.02 * 1.3 * floor


@pytest.mark.parametrize("target", TARGETS)
def test_the_simple_loss_is_an_error_of_eps_at_every_step_of_the_schedule(target):
    """And min-SNR one of x0 that no step counts for more than 5 times."""
    config = small(target=target, weighting="simple", schedule="cosine")
    lam, weight = noise_levels(config, (torch.arange(1000) + 0.5) / 1000)
    close(lam, SCHEDULES["cosine"](1000).lam[1:].clamp(*LAM_RANGE), 1e-5)
    alpha, sigma = torch.sigmoid(2 * lam).sqrt()[:, None], torch.sigmoid(-2 * lam).sqrt()[:, None]
    x, said, truth = normal(1000, 2, seed=1), normal(1000, 2, seed=2), normal(1000, 2, seed=3)
    said, truth = (Prediction.of(x, alpha.double(), sigma.double(), **{target: view}) for view in (said, truth))

    def error(view):
        return (getattr(said, view) - getattr(truth, view)).square().sum(-1)

    close(weight * error(target), error("eps"), 1e-4)
    _, weight = noise_levels(replace(config, weighting="min_snr"), (torch.arange(1000) + 0.5) / 1000)
    close(weight * error(target), (alpha / sigma)[:, 0].square().clamp(max=5) * error("x0"), 1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_learned(target):
    """From a network that predicts nothing, more than half of the way to the loss of the exact denoiser."""
    options = dict(batch=256, target=target, lam_min=-1.0, lam_max=2.0)
    loss = [step.loss for step in run(small(steps=150, warmup=10, lr=2e-2, **options), network(width=32))]
    floor = [step.loss for step in run(small(steps=5, **options), Exact(MOONS, target))]
    start, end, floor = loss[0], sum(loss[-20:]) / 20, sum(floor) / 5
    assert floor - 0.03 < end < (start + floor) / 2


def test_it_yields_plain_numbers_after_each_step():
    net = network()
    before, seen = weights(net), []
    for step in train(net, MOONS, small(), generator=torch.Generator().manual_seed(0)):
        assert type(step.step) is int and type(step.loss) is float and type(step.lr) is float
        seen.append(step.step)
        assert not torch.equal(weights(net), before)
        before = weights(net)
    assert seen == list(range(1, 13))


def test_only_the_generator_decides():
    """The same seed gives the same run; torch's global generator is neither used nor touched."""
    net = network()
    state = torch.get_rng_state()
    first = run(small(), copy.deepcopy(net))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    again, other = run(small(), copy.deepcopy(net)), run(small(), copy.deepcopy(net), seed=1)
    assert [s.loss for s in first] == [s.loss for s in again] != [s.loss for s in other]
    assert torch.equal(weights(first[-1].ema), weights(again[-1].ema))


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(stop, tmp_path):
    """Through a file, into a network and a generator of other seeds; losses, raw and averaged weights."""
    whole_net, net = network(), network()
    whole = run(small(), whole_net)
    for step in train(net, MOONS, small(), generator=torch.Generator().manual_seed(0)):
        if step.step == stop:
            safetensors.torch.save_file(step.state(), tmp_path / "state.safetensors")
            break
    rest_net = network(seed=9)
    rest = run(small(), rest_net, seed=9, resume=safetensors.torch.load_file(tmp_path / "state.safetensors"))
    assert [(s.step, s.loss, s.lr) for s in rest] == [(s.step, s.loss, s.lr) for s in whole[stop:]]
    assert torch.equal(weights(rest_net), weights(whole_net))
    assert torch.equal(weights(rest[-1].ema), weights(whole[-1].ema))


def test_a_state_does_not_move_with_the_run():
    steps = train(network(), MOONS, small(), generator=torch.Generator().manual_seed(0))
    state = next(steps).state()
    kept = {name: value.clone() for name, value in state.items()}
    next(steps)
    assert all(torch.equal(state[name], kept[name]) for name in kept)


def test_resuming_a_finished_run_yields_nothing():
    assert run(small(), resume=run(small())[-1].state()) == []


def test_the_average_trails_the_raw_weights():
    """Without memory (ema = 0) it is the raw network; with memory it is another, nearer to where the run began."""
    nets = {}
    for ema in (0.0, 0.9):
        net = network()
        start, average = weights(net), weights(run(small(ema=ema), net)[-1].ema)
        nets[ema] = (average - start).norm(), (weights(net) - start).norm(), (average - weights(net)).norm()
    assert nets[0.0][2] == 0 and nets[0.9][2] > 0 and nets[0.9][0] < nets[0.9][1]


def test_the_average_forgets_the_untrained_network():
    """Once the rate has come down to zero, it is where the network is and not where the run began."""
    net = network()
    start = weights(net)
    average = weights(run(small(steps=300, batch=4, warmup=0, ema=0.999), net)[-1].ema)
    assert (average - weights(net)).norm() < 0.2 * (weights(net) - start).norm()


def test_the_rate_warms_up_and_cools_down_to_zero():
    config = small(steps=1000, warmup=100)
    rate = torch.tensor([learning_rate(config, step) for step in range(1001)])
    assert (rate[:100].diff() > 0).all() and (rate[100:].diff() < 0).all() and abs(rate[1000]) < 1e-9
    assert 0.95 * config.lr < rate.max() <= config.lr and learning_rate(small(warmup=0), 0) == config.lr
    assert [s.lr for s in run(small())] == [learning_rate(small(), step) for step in range(12)]


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"batch": 0}, {"ema": 1.0}, {"ema": -0.1}, {"lam_min": 7.0}, {"lam_min": math.nan}]
)
def test_impossible_configurations_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainConfig(**options)


def test_unknown_target_lists_the_known_ones():
    with pytest.raises(KeyError, match="v, eps, x0"):
        TrainConfig(target="velocity")
