"""Denoising score matching in one loop: noise data, predict the target, follow the gradient (Vincent 2011; Ho 2020)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .denoisers import TARGETS
from .mixtures import GaussianMixture
from .networks import LAM_RANGE
from .prediction import Prediction


@dataclass(frozen=True)
class TrainConfig:
    steps: int = 16_000
    batch: int = 1024
    lr: float = 3e-3  # peak of AdamW's rate: a linear warm-up, then half a cosine down to zero
    warmup: int = 200
    ema: float = 0.999  # decay of the averaged weights, the ones that are kept
    target: str = "v"
    lam_min: float = LAM_RANGE[0]  # noise levels: lam uniform in this range, stratified over the batch
    lam_max: float = LAM_RANGE[1]

    def __post_init__(self):
        if self.target not in TARGETS:
            raise KeyError(f"unknown target {self.target!r}; known: {', '.join(TARGETS)}")
        if self.steps < 1 or self.batch < 1 or not 0 <= self.ema < 1 or not self.lam_min < self.lam_max:
            raise ValueError(f"need steps >= 1, batch >= 1, 0 <= ema < 1, lam_min < lam_max; got {self}")


@dataclass(frozen=True)
class TrainStep:
    """What one step did. `ema` is the averaged network itself, live; `state()` is all that a later run needs."""

    step: int  # 1 .. steps
    loss: float  # mean squared error per coordinate, of the target
    lr: float
    ema: nn.Module
    state: Callable[[], dict[str, Tensor]]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rate of step 0 .. steps - 1."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def train(
    net: nn.Module,
    data: GaussianMixture,
    config: TrainConfig,
    *,
    generator: torch.Generator,
    resume: dict[str, Tensor] | None = None,
) -> Iterator[TrainStep]:
    """Train `net` in place on fresh samples of `data`; yields AFTER each optimiser and EMA step.

    With `resume`, a TrainStep.state() of an earlier run, it goes on exactly where that run was: bit for bit the same.
    ValueError if that state belongs to another network. All points live in variance-preserving coordinates.
    """
    device = next(net.parameters()).device
    ema = copy.deepcopy(net).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    done = 0
    if resume is not None:
        done = _restore(resume, net, ema, optimiser, generator)

    def state() -> dict[str, Tensor]:
        return _snapshot(done, net, ema, optimiser, generator)

    while done < config.steps:
        lr = learning_rate(config, done)
        for group in optimiser.param_groups:
            group["lr"] = lr

        x0 = data.sample(config.batch, generator=generator).to(device, torch.float32)  # [batch, D]
        eps = torch.randn(x0.shape, generator=generator, device=generator.device).to(device)
        u = (
            torch.rand(1, generator=generator, device=generator.device).cpu()
            + torch.arange(config.batch) / config.batch
        )
        lam = (config.lam_min + (config.lam_max - config.lam_min) * (u % 1)).to(device)  # [batch]
        alpha = torch.sigmoid(2 * lam).sqrt()[:, None]  # alpha^2 = 1 / (1 + exp(-2 lam))
        sigma = torch.sigmoid(-2 * lam).sqrt()[:, None]
        x = alpha * x0 + sigma * eps
        target = getattr(Prediction.of(x, alpha, sigma, x0=x0), config.target)

        loss = (net(x, lam) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += 1
        decay = min(config.ema, done / (done + 10))  # a short memory at first, so that early weights are forgotten
        torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
        yield TrainStep(done, loss.item(), lr, ema, state)


def _snapshot(done, net, ema, optimiser, generator) -> dict[str, Tensor]:
    """Everything that training depends on, as plain tensors under flat names (so that safetensors can hold it)."""
    tensors = {"step": torch.tensor(done), "generator": generator.get_state()}
    for prefix, module in (("net", net), ("ema", ema)):
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for i, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": value for name, value in slots.items()}
    return {name: value.detach().clone() for name, value in tensors.items()}


def _restore(tensors: dict[str, Tensor], net, ema, optimiser, generator) -> int:
    def under(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}

    try:
        net.load_state_dict(under("net"))
        ema.load_state_dict(under("ema"))
    except RuntimeError as error:
        raise ValueError("the state to resume belongs to another network") from error
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in under("optimiser").items():
        i, name = key.split(".")
        slots.setdefault(int(i), {})[name] = value.clone()
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    generator.set_state(tensors["generator"])
    return int(tensors["step"])
