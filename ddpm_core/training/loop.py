"""Denoising score matching in one loop: noise data, predict the target, follow the gradient (Vincent 2011; Ho 2020)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.models.networks import LAM_RANGE
from ddpm_core.models.precision import PRECISIONS
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import SCHEDULES, amplitudes
from ddpm_core.training.distillation import Teacher
from ddpm_core.training.gradients import assisted
from ddpm_core.training.state import TrainState
from ddpm_core.training.weighting import WEIGHTINGS, noise_levels

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ddpm_core.data.images import Images


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; the defaults are those of the shipped networks of points."""

    steps: int = 24_000
    batch: int = 1024
    lr: float = 6e-3  # peak rate of AdamW: linear warm-up, then half a cosine down to zero
    warmup: int = 200
    ema: float = 0.999  # decay of the averaged weights, which are the result
    target: str = "v"
    weighting: str = "uniform"  # distribution and weight of the noise levels: see `weighting`
    schedule: str = "linear"  # with T = 1000; all weightings but "uniform" sample its levels
    lam_min: float = LAM_RANGE[0]  # "uniform" samples lam_min .. lam_max
    lam_max: float = LAM_RANGE[1]
    shared: int = 8  # points per noise level: embedding a level is half the work of a small network
    unlabelled: float = 0.1  # share of a batch whose labels are dropped (Ho & Salimans 2022)
    parts: int = 1  # a batch is computed in so many parts: less memory, the same step
    precision: str = "float32"  # of the network's arithmetic; weights stay float32

    def __post_init__(self):
        known_names = {"target": TARGETS, "weighting": WEIGHTINGS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for name, known in known_names.items():
            if getattr(self, name) not in known:
                raise KeyError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}")
        if self.steps < 1 or self.batch < 1 or not 0 <= self.ema < 1 or not self.lam_min < self.lam_max:
            raise ValueError(f"need steps >= 1, batch >= 1, 0 <= ema < 1, lam_min < lam_max; got {self}")
        if self.shared < 1 or self.parts < 1 or not 0 <= self.unlabelled <= 1:
            raise ValueError(f"need shared >= 1, parts >= 1, 0 <= unlabelled <= 1; got {self}")


@dataclass(frozen=True)
class TrainStep:
    """The result of one step. `ema` is the live averaged network; `state()` is all that a later run needs."""

    step: int  # 1 .. steps
    first: int  # the step before the first one of this run
    loss: float  # weighted mean squared error of the target per coordinate
    lr: float
    ema: nn.Module
    state: Callable[[], dict[str, Tensor]]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate at step 0 .. steps - 1."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


class Batch(NamedTuple):
    """A batch in rows of points that share a noise level."""

    asked: tuple[Tensor, ...]  # x [levels, points, ...], lam [levels, 1]; labels [levels, points] if net has classes
    target: Tensor  # like x
    weight: Tensor  # [levels, 1, ...]: how much an error counts


def draw(
    data: GaussianMixture | Images, config: TrainConfig, classes: int, generator: torch.Generator, device: torch.device
) -> Batch:
    """Draw x0, eps and lam; returns x = alpha x0 + sigma eps with its target.

    classes: number of classes of the network. If not 0, labels are drawn too, some replaced by `classes`, "any class".
    """
    levels = config.batch // math.gcd(config.batch, config.shared)
    x0, label = data.sample_labelled(config.batch, generator=generator)
    x0 = x0.to(device, torch.float32).unflatten(0, (levels, -1))
    eps = torch.randn(x0.shape, generator=generator, device=generator.device).to(device)
    u = torch.rand(1, generator=generator, device=generator.device).cpu() + torch.arange(levels) / levels
    lam, weight = (part.to(device)[:, None] for part in noise_levels(config, u % 1))
    each = (..., *[None] * (x0.ndim - 2))  # [levels, 1] -> [levels, 1, 1 ...]
    alpha, sigma = (part[each] for part in amplitudes(lam))
    x = alpha * x0 + sigma * eps
    target = getattr(Prediction.of(x, alpha, sigma, x0=x0), config.target)
    if not classes:
        return Batch((x, lam), target, weight[each])
    unlabelled = torch.rand(config.batch, generator=generator, device=generator.device).cpu() < config.unlabelled
    label = label.masked_fill(unlabelled, classes).to(device).unflatten(0, (levels, -1))
    return Batch((x, lam, label), target, weight[each])


def add_gradients(model: nn.Module, batch: Batch) -> Tensor:
    """Computes the loss and adds its gradients to those of the network (Ho et al. 2020, eq. 14, with weights):

    mean of weight (net(x, lam) - target)^2.
    """
    loss = (batch.weight * (model(*batch.asked) - batch.target).square()).mean()
    loss.backward()
    return loss.detach()


def train(
    net: nn.Module,
    data: GaussianMixture | Images,
    config: TrainConfig,
    *,
    generator: torch.Generator,
    resume: dict[str, Tensor] | None = None,
    accelerator: Accelerator | None = None,
    teacher: Teacher | None = None,
) -> Iterator[TrainStep]:
    """Train `net` in place on fresh samples of `data`; yields AFTER each optimiser and EMA step.

    A network with `classes` is told the labels, except for the share config.unlabelled. All points are in
    variance-preserving coordinates.

    resume       a TrainStep.state() of an earlier run: goes on exactly there, bit for bit the same
    accelerator  of several processes: each computes its share of every batch
    teacher      the network learns what this one predicts of the noised data

    ValueError if the state belongs to another network, or if a batch has too few noise levels for its parts.
    """
    device = next(net.parameters()).device
    ema = copy.deepcopy(net).requires_grad_(False)
    loss_of = assisted(add_gradients, net, config, accelerator, teacher)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    state = TrainState(net, ema, optimiser, generator)
    if resume:
        state.restore(resume)
    first = state.step

    for step in range(first + 1, config.steps + 1):
        optimiser.param_groups[0]["lr"] = lr = learning_rate(config, step - 1)
        batch = draw(data, config, getattr(net, "classes", 0), generator, device)
        optimiser.zero_grad()
        loss = loss_of(batch)
        optimiser.step()
        decay = min(config.ema, step / (step + 10))  # a short memory at first, so that early weights are forgotten
        torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
        state.step = step
        yield TrainStep(step, first, loss.item(), lr, ema, state.tensors)
