"""Denoising score matching in one loop: noise data, predict the target, follow the gradient (Vincent 2011; Ho 2020)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.models.networks import LAM_RANGE
from ddpm_core.models.precision import PRECISIONS
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import SCHEDULES, amplitudes, levels_at
from ddpm_core.training.distillation import Teacher

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ddpm_core.data.images import Images

WEIGHTINGS = ("uniform", "simple", "min_snr", "flat")


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; the defaults are those of the shipped networks of points."""

    steps: int = 24_000
    batch: int = 1024
    lr: float = 6e-3  # peak of AdamW's rate: a linear warm-up, then half a cosine down to zero
    warmup: int = 200
    ema: float = 0.999  # decay of the averaged weights, the ones that are kept
    target: str = "v"
    weighting: str = "uniform"  # which noise levels are drawn, and how much each counts: see `noise_levels`
    schedule: str = "linear"  # with T = 1000: where "simple" and "min_snr" draw from
    lam_min: float = LAM_RANGE[0]  # where "uniform" draws from
    lam_max: float = LAM_RANGE[1]
    shared: int = 8  # points at each noise level: what a small network makes of a level is half its work
    unlabelled: float = 0.1  # share of a batch that networks which know labels are not told (Ho & Salimans 2022)
    parts: int = 1  # that a batch is cut into, their gradients summed: less memory, the same step
    precision: str = "float32"  # of the network's arithmetic; the weights stay float32

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
    """What one step did. `ema` is the averaged network itself, live; `state()` is all that a later run needs."""

    step: int  # 1 .. steps
    first: int  # the step before the first one of this run
    loss: float  # mean squared error of the target per coordinate, weighted
    lr: float
    ema: nn.Module
    state: Callable[[], dict[str, Tensor]]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rate of step 0 .. steps - 1."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


GAMMA = 5.0  # of min-SNR


def noise_levels(config: TrainConfig, u: Tensor) -> tuple[Tensor, Tensor]:
    """u [n], uniform in 0 .. 1 -> lam [n] and the weight [n] of the squared error of config.target there.

    uniform  lam uniform in its range, every error counts the same
    simple   t uniform over the schedule, the error of eps counts (Ho et al. 2020, eq. 14)
    min_snr  the same t, the error of x0 counts min(SNR, 5) (Hang et al. 2023, section 3.4)
    flat     the same t, every error counts the same; of v that is SNR + 1 (Salimans & Ho 2022, section 4)

    An error of one view is an error of any other, times a factor: d eps = alpha d v, d x0 = sigma d v.
    """
    if config.weighting == "uniform":
        return config.lam_min + (config.lam_max - config.lam_min) * u, torch.ones_like(u)
    levels = SCHEDULES[config.schedule](1000).lam[1:].clamp(*LAM_RANGE).to(u)
    lam = levels[(u * len(levels)).long().clamp(max=len(levels) - 1)]
    if config.weighting == "flat":
        return lam, torch.ones_like(lam)
    snr = (2 * lam).exp()
    of_eps = torch.ones_like(lam) if config.weighting == "simple" else snr.clamp(max=GAMMA) / snr
    return lam, of_eps * {"eps": torch.ones_like(lam), "v": torch.sigmoid(2 * lam), "x0": snr}[config.target]


def loss_floor(data: GaussianMixture, config: TrainConfig, lam: Tensor, *, n: int = 512, seed: int = 0) -> Tensor:
    """The smallest possible squared error of config.target at each lam [L], per coordinate, unweighted; [L] float64.

    The exact posterior variance of x0, averaged over n points, as an error of the target.
    """
    generator, floors = torch.Generator().manual_seed(seed), []
    x0 = data.sample(n, generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    for alpha, sigma in levels_at(lam.double()):
        variance = data.posterior_variance(alpha * x0 + sigma * eps, alpha, sigma).mean()
        floors.append(variance * {"x0": 1.0, "eps": (alpha / sigma) ** 2, "v": 1 / sigma**2}[config.target])
    return torch.stack(floors)


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

    With a `teacher` it learns what that one says of noised data.

    A network with `classes` is told the labels too, but for the share config.unlabelled. With `resume`, a
    TrainStep.state() of an earlier run, it goes on exactly where that run was: bit for bit the same. With an
    `accelerator` of several processes, each draws the whole batch, as a single one would, and works on its share.
    ValueError if the state belongs to another network, or if a batch has too few noise levels to be cut so often. All
    points live in variance-preserving coordinates.
    """
    device = next(net.parameters()).device
    ema = copy.deepcopy(net).requires_grad_(False)
    process, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    model = accelerator.prepare(net) if accelerator else net
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    done = first = _restore(resume, net, ema, optimiser, generator) if resume else 0

    def state() -> dict[str, Tensor]:
        return _snapshot(done, net, ema, optimiser, generator)

    while done < config.steps:
        lr = learning_rate(config, done)
        for group in optimiser.param_groups:
            group["lr"] = lr

        optimiser.zero_grad()
        loss = torch.zeros((), device=device)
        parts = _batch(config, data, getattr(net, "classes", 0), config.parts * processes, generator, device)
        for asked, target, weight in islice(parts, process, None, processes):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                aim = teacher(*asked).float() if teacher else target
                part = (weight * (model(*asked).float() - aim).square()).mean()
            (part * processes).backward()  # the gradients are averaged over the processes, not summed
            loss += part.detach()
        optimiser.step()
        loss = accelerator.reduce(loss) if accelerator else loss
        done += 1
        decay = min(config.ema, done / (done + 10))  # a short memory at first, so that early weights are forgotten
        torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
        yield TrainStep(done, first, loss.item(), lr, ema, state)


def _batch(
    config: TrainConfig, data: GaussianMixture | Images, classes: int, parts: int, generator: torch.Generator, device
) -> Iterator[tuple[tuple[Tensor, ...], Tensor, Tensor]]:
    """One batch in `parts`: what the network is asked, x [levels, points, ...], lam [levels, 1] and for one that knows
    classes labels [levels, points]; the target, like x; and its weight, such that the means add up to the loss.
    """
    levels = config.batch // math.gcd(config.batch, config.shared)
    if levels < parts:
        raise ValueError(f"a batch of {levels} noise levels cannot be cut into {parts} parts")
    x0, label = data.sample_labelled(config.batch, generator=generator)
    x0 = x0.to(device, torch.float32).unflatten(0, (levels, -1))
    eps = torch.randn(x0.shape, generator=generator, device=generator.device).to(device)
    u = torch.rand(1, generator=generator, device=generator.device).cpu() + torch.arange(levels) / levels
    lam, weight = (part.to(device)[:, None] for part in noise_levels(config, u % 1))
    each = (..., *[None] * (x0.ndim - 2))  # [levels, 1] -> [levels, 1, 1 ...]
    alpha, sigma = (part[each] for part in amplitudes(lam))
    x = alpha * x0 + sigma * eps
    target = getattr(Prediction.of(x, alpha, sigma, x0=x0), config.target)
    asked = [x, lam]
    if classes:
        unlabelled = torch.rand(config.batch, generator=generator, device=generator.device).cpu() < config.unlabelled
        asked.append(label.masked_fill(unlabelled, classes).to(device).unflatten(0, (levels, -1)))
    cut = (column.tensor_split(parts) for column in (target, weight[each], *asked))
    for target_, weight_, *asked_ in zip(*cut, strict=True):
        yield tuple(asked_), target_, weight_ * (len(target_) / levels)


def _snapshot(done, net, ema, optimiser, generator) -> dict[str, Tensor]:
    """Everything that training depends on, as plain tensors under flat names (so that safetensors can hold it)."""
    tensors = {"step": torch.tensor(done), "generator": generator.get_state()}
    for prefix, module in (("net", net), ("ema", ema)):
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for i, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": value for name, value in slots.items()}
    return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}


def _restore(tensors: dict[str, Tensor], net, ema, optimiser, generator) -> int:
    def under(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}

    try:
        net.load_state_dict(under("net"))
        ema.load_state_dict(under("ema"))
    except RuntimeError as error:
        raise ValueError("the state to resume belongs to another network") from error
    slots: dict[int, dict[str, Tensor]] = {}
    parameters = list(net.parameters())
    for key, value in under("optimiser").items():
        i, name = key.split(".")
        moment = torch.empty_like(parameters[int(i)]) if name != "step" else torch.empty_like(value)
        slots.setdefault(int(i), {})[name] = moment.copy_(value)  # laid out in memory as its parameter is
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    generator.set_state(tensors["generator"])
    return int(tensors["step"])
