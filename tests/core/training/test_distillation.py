"""Guidance that is learned: what a teacher says, that it is nearer to the truth, and that a network comes to say it."""

import math

import pytest
import torch
from core_common import close
from torch import nn

from ddpm_core import MLP, GaussianMixture, Teacher, TrainConfig, UNet, train
from ddpm_core.data.images import Images
from ddpm_core.guidance.labels import guided
from ddpm_core.models.denoisers import NetworkDenoiser
from ddpm_core.schedules import amplitudes

DATA = GaussianMixture([1.0], [[0.0, 0.0]], 1.0)


class Law(nn.Module):
    """The exact v of a normal law, whose mean and standard deviation it can learn."""

    def __init__(self, mean: float, s: float):
        super().__init__()
        self.mean, self.log_s = nn.Parameter(torch.tensor(mean)), nn.Parameter(torch.tensor(math.log(s)))

    def forward(self, x, lam):
        alpha, sigma = (part[..., None] for part in amplitudes(lam))
        variance = (2 * self.log_s).exp()
        x0 = self.mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * self.mean)
        return (alpha * x - x0) / sigma


def spoken(seed: int) -> UNet:
    torch.manual_seed(seed)
    net = UNet(fine=8, middle=8, coarse=16)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    return net.requires_grad_(False)


X, LAM = torch.randn(3, 2, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.tensor([[-2.0], [0.0], [2.0]])
LABEL = torch.tensor([[1, 10], [2, 3], [10, 4]])


def test_without_guidance_it_says_what_the_network_says():
    net = spoken(0)
    close(Teacher(net)(X, LAM, LABEL), net(X, LAM, LABEL), 0)


def test_guidance_towards_the_label_is_that_of_sampling_above_a_level():
    net, label = spoken(0), LABEL[:, 1]
    said = Teacher(net, weight=2.5, above=-0.5)(X, LAM, LABEL)
    close(said[0], net(X[:1], LAM[:1], LABEL[:1])[0], 1e-6)
    for k in (1, 2):  # a walk asks at one level
        alpha, sigma = (part.item() for part in amplitudes(LAM[k]))
        usual = guided(NetworkDenoiser(net, "v"), label[k].expand(1), 2.5)(X[k, 1:], alpha, sigma)
        close(said[k, 1:], usual.v, 1e-4)


def test_guidance_begins_at_its_level():
    """The default of the command line is the lowest level of training, which a schedule's noisiest ones are put to."""
    net = spoken(0)
    close(Teacher(net, weight=2.5, above=LAM[0].item())(X, LAM, LABEL), Teacher(net, weight=2.5)(X, LAM, LABEL), 0)


def test_points_without_a_label_go_away_from_the_weaker_one_only():
    net, weaker = spoken(0), spoken(1)
    said, plain = Teacher(net, 3.0, -9.0, weaker, 0.5)(X, LAM, LABEL), net(X, LAM, LABEL)
    further = torch.lerp(weaker(X, LAM, LABEL), plain, 1.5)
    untold = net.classes == LABEL
    close(said[untold], further[untold], 1e-5)
    assert (said - further)[~untold].abs().amax((1, 2, 3)).min() > 1e-3


def test_away_from_what_errs_more_is_nearer_to_the_truth():
    """Two networks that err in one direction, one of them half as much: as far again, and hardly an error is left."""
    net, weaker, lam = Law(0.1, 1.1), Law(0.2, 1.2), torch.linspace(-3, 3, 40)[:, None]
    x = torch.randn(40, 50, 2, generator=torch.Generator().manual_seed(0))
    truth = Law(0.0, 1.0)(x, lam)

    def error(said):
        return (said - truth).square().mean().sqrt().item()

    assert error(Teacher(net, weaker=weaker, away=1.0)(x, lam)) < 0.2 * error(net(x, lam))


def test_a_network_comes_to_say_what_its_teacher_says():
    """Not what the data say: their mean is 0 and their deviation 1."""
    net, config = Law(0.0, 1.0), TrainConfig(steps=300, batch=128, lr=0.03, warmup=10, ema=0.9)
    steps = list(train(net, DATA, config, generator=torch.Generator().manual_seed(0), teacher=Teacher(Law(0.5, 0.7))))
    close(torch.stack([net.mean, net.log_s.exp()]).detach(), torch.tensor([0.5, 0.7]), 0.01)
    assert steps[-1].loss < 1e-4 < steps[0].loss


def test_labels_reach_the_teacher():
    data = Images(torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8), torch.arange(8))
    config = TrainConfig(steps=1, batch=8, shared=1, unlabelled=0.0)

    def loss(**guidance):
        steps = train(spoken(0).requires_grad_(), data, config, generator=torch.Generator().manual_seed(0), **guidance)
        return next(steps).loss

    assert loss(teacher=Teacher(spoken(0))) < 1e-9 < loss(teacher=Teacher(spoken(0), weight=2.0))


@pytest.mark.parametrize(
    "wrong",
    [
        dict(weight=0.9),
        dict(weight=math.nan),
        dict(weight=math.inf),
        dict(away=-1.0),
        dict(away=0.5),
        dict(weaker=MLP()),
        dict(weaker=MLP(), away=math.nan),
    ],
)
def test_guidance_that_makes_no_sense(wrong):
    with pytest.raises(ValueError, match=r"weight|away"):
        Teacher(MLP(), **wrong)
