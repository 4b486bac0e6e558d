"""Networks against their own samples: what the loss is where it begins, where it leads, and where it leads nowhere."""

import copy
import math

import pytest
import torch
from core_common import close
from torch import nn

from ddpm_core import MLP, GaussianMixture, Rival, TrainConfig, UNet, train
from ddpm_core.training import PRECISIONS, amplitudes

DATA = GaussianMixture([1.0], [[0.0, 0.0]], 1.0)


class Width(nn.Module):
    """The exact v of a normal law of standard deviation s, which is all that it can learn: a law of one parameter."""

    def __init__(self, s: float):
        super().__init__()
        self.log_s = nn.Parameter(torch.tensor(math.log(s)))

    @property
    def s(self) -> float:
        return self.log_s.exp().item()

    def forward(self, x, lam):
        alpha, sigma = (part[..., None] for part in amplitudes(lam))
        variance = (2 * self.log_s).exp()
        return alpha * sigma * (1 - variance) / (alpha**2 * variance + sigma**2) * x

    def law(self) -> GaussianMixture:
        return GaussianMixture([1.0], [[0.0, 0.0]], self.s**2)


def after(net: Width, steps: int, beta: float, seed: int = 0) -> Width:
    rival, net = Rival(copy.deepcopy(net).requires_grad_(False), net.law(), beta), copy.deepcopy(net)
    config = TrainConfig(steps=steps, batch=256, lr=0.02, warmup=10, ema=0.9)
    *_, last = train(net, DATA, config, generator=torch.Generator().manual_seed(seed), rival=rival)
    return last.ema


def test_it_begins_undecided():
    """Loss ln 2, and the gradient of beta / 4 (error of real points - error of drawn ones), summed over coordinates."""
    torch.manual_seed(0)
    net, beta = MLP(width=8, depth=2), 0.3
    nn.init.normal_(net.out.weight)
    rival = Rival(copy.deepcopy(net), DATA, beta)
    losses, by_hand = [], 0.0
    for real in (True, False):
        x, lam, target = torch.randn(4, 3, 2), torch.randn(4, 1), torch.randn(4, 3, 2)
        weight = torch.rand(4, 1, 1)
        error = weight * (net(x, lam) - target).square()
        losses.append(rival.loss(real, error, (x, lam), target, weight) / 2)
        by_hand = by_hand + (1 if real else -1) * beta / 4 * error.sum(-1).mean()
    close(sum(losses).item(), math.log(2), 1e-6)
    gradients = [
        torch.autograd.grad(loss, list(net.parameters()), retain_graph=True) for loss in (sum(losses), by_hand)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        close(ours, theirs, 1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_are_asked_with_the_same_precision(precision):
    """Or the first step would see a difference where there is none: its loss is ln 2."""
    torch.manual_seed(0)
    net = MLP(width=16, depth=2)
    nn.init.normal_(net.out.weight)
    rival, config = Rival(copy.deepcopy(net), DATA, 10.0), TrainConfig(steps=1, batch=64, precision=precision)
    (step,) = train(net, DATA, config, generator=torch.Generator().manual_seed(0), rival=rival)
    assert step.loss == pytest.approx(math.log(2), abs=1e-6)


def test_what_is_right_already_stays():
    """Against samples that are as good as data nothing can be told apart, whatever the level: s stays 1."""
    assert abs(after(Width(1.0), 300, 0.3).s - 1) < 0.02


@pytest.mark.parametrize("start", [1.3, 0.75])
def test_rounds_lead_to_the_data(start):
    """A law that is too wide, or too narrow, is nearer to the data after every round against what it draws itself."""
    net, away = Width(start), abs(math.log(start))
    for _ in range(3):
        net = after(net, 150, 1.0)
        assert abs(math.log(net.s)) < 0.8 * away + 0.01
        away = abs(math.log(net.s))


def test_a_small_beta_lets_it_go_further():
    moved = [math.log(1.3 / after(Width(1.3), 300, beta).s) for beta in (3.0, 0.3)]
    assert 0 < moved[0] < moved[1]


@pytest.mark.parametrize(("looks", "parts"), [(1, 5), (3, 3)])
def test_parts_add_up(looks, parts):
    """A batch cut into parts gives the loss of the whole; the levels of one point stay together."""
    torch.manual_seed(0)
    rival = Rival(Width(1.3), Width(1.3).law())

    def losses(parts):
        config = TrainConfig(steps=3, batch=24, shared=2, looks=looks, warmup=0, lr=0.1, parts=parts)
        generator = torch.Generator().manual_seed(0)
        return [step.loss for step in train(Width(1.1), DATA, config, generator=generator, rival=rival)]

    assert losses(1) == pytest.approx(losses(parts), rel=1e-5)


def test_looks_are_at_the_same_points_and_far_apart():
    seen = []

    class Witness(Rival):
        def loss(self, real, error, asked, target, weight, looks=1):
            alpha, sigma = (part[..., None] for part in amplitudes(asked[1]))
            seen.append((alpha * asked[0] - sigma * target, asked[1]))  # the points themselves, and their levels
            return super().loss(real, error, asked, target, weight, looks)

    rival = Witness(Width(1.3), Width(1.3).law())
    config = TrainConfig(steps=1, batch=24, shared=2, looks=3, lam_min=-3, lam_max=3)
    list(train(Width(1.1), DATA, config, generator=torch.Generator().manual_seed(0), rival=rival))
    for column in seen:  # real, drawn: 4 times 2 points, each at 3 levels
        points, lam = (part.unflatten(0, (4, 3)) for part in column)
        close(points, points[:, :1].expand_as(points), 1e-5)
        assert len(torch.unique(points[:, 0].round(decimals=3))) == 4 * 2 * 2
        assert len(lam.unique()) == 12
        close(lam.squeeze(-1).sort(1).values.diff(dim=1), torch.full((4, 2), 6 / 3), 1e-5)


def test_more_looks_bound_the_loss_closer():
    """The same errors: the loss of the mean logit is below the mean of the losses, and is what is done by hand."""
    torch.manual_seed(0)
    rival, x, lam, target = Rival(Width(1.3), DATA, 2.0), torch.randn(6, 5, 2), torch.randn(6, 1), torch.randn(6, 5, 2)
    asked, weight = (x, lam), torch.ones(6, 1, 1)
    error = (Width(1.0)(*asked) - target).square()
    losses = [rival.loss(True, error, asked, target, weight, looks).item() for looks in (1, 2, 6)]
    assert losses[0] > losses[1] > losses[2]
    excess = (error - (Width(1.3)(*asked) - target).square()).sum(-1).mean(0)
    close(losses[2], (1 + (2 * excess).exp()).log().mean().item(), 1e-5)


@pytest.mark.parametrize("looks", [0, 5, 24])
def test_looks_divide_the_levels(looks):
    with pytest.raises(ValueError, match="looks must divide the 12 noise levels"):
        TrainConfig(batch=24, shared=2, looks=looks)


def test_labels_are_told_to_both():
    """A network of images asks its rival with the labels of the drawn images, too."""
    torch.manual_seed(0)
    net = UNet(fine=8, middle=8, coarse=16)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    x, lam, label = torch.randn(2, 3, 1, 28, 28), torch.zeros(2, 1), torch.tensor([[0, 1, 2], [3, 10, 10]])
    rival, target, weight = Rival(copy.deepcopy(net), DATA, 100.0), torch.zeros_like(x), torch.ones(2, 1, 1, 1, 1)
    same = (net(x, lam, label) - target).square()
    other = (net(x, lam, label.flip(1)) - target).square()
    close(rival.loss(True, same, (x, lam, label), target, weight).item(), math.log(2), 1e-5)
    assert abs(rival.loss(True, other, (x, lam, label), target, weight).item() - math.log(2)) > 1e-4


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match="beta"):
        Rival(Width(1.0), DATA, beta)
