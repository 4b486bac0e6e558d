"""Training on the Swiss roll from scratch with the defaults of the Train tab, against the recipe of the tutorials."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.row import Row
from benchmarks.sampling import T, TutorialNetwork, tutorial_loop
from ddpm_core import DATASETS, MLP, SAMPLERS, NetworkDenoiser, ParticleNoise, TrainStep, excess_nll, train
from ddpm_core.schedules import linear
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.exhibits.train.stream import learning
from ddpm_ui.server.wire import Trajectory

N = 2_000  # samples behind each number: 1,000 DDPM steps, variance beta
BARS = {20: 0.15, 60: 0.05}  # seconds of training -> nats
EARLY = [k / 2 for k in range(1, 21)]  # seconds at which our network is evaluated for the comparison
TUTORIAL = 240  # seconds after which the tutorial's network is evaluated
ROLL = DATASETS["swiss_roll"]()


def _curve(step: Callable[[], bool], quality: Callable[[], float], marks: Sequence[float]) -> dict[float, float]:
    """Seconds of training -> excess NLL, at the marks and when `step` is done; evaluating is not timed."""
    curve, spent, left = {}, 0.0, list(marks)
    while left:
        start = time.perf_counter()
        more = step()
        spent += time.perf_counter() - start
        if spent >= left[0] or not more:
            curve[spent] = quality()
            left = left[1:] if more else []
    return curve


def ours() -> tuple[dict[float, float], float]:
    """Our curve, and training steps per second."""
    config, noise, schedule = Train().config, ParticleNoise(0, N), linear(T)
    generator = torch.Generator().manual_seed(0)
    steps = train(MLP().reset(generator), ROLL, config, generator=generator)
    newest: deque[TrainStep] = deque(maxlen=1)

    def step() -> bool:
        newest.append(next(steps))
        return newest[0].step < config.steps

    def quality() -> float:
        denoiser = NetworkDenoiser(copy.deepcopy(newest[0].ema), config.target)
        walk = SAMPLERS["ddpm"](denoiser, schedule, noise.start(), noise=noise, variance="beta")
        return excess_nll(deque(walk, maxlen=1)[0].x, ROLL).value

    curve = _curve(step, quality, (*EARLY, *BARS))
    return curve, config.steps / max(curve)


def tutorial() -> dict[float, float]:
    torch.manual_seed(0)
    net, betas, generator = TutorialNetwork(), linear(T).betas.float(), torch.Generator().manual_seed(0)
    optimiser, alpha_bar = torch.optim.AdamW(net.parameters(), lr=1e-5), (1 - betas).cumprod(0)

    def step() -> bool:
        x0 = ROLL.sample(128, generator=generator).float()
        t, eps = torch.randint(T, (128,)), torch.randn(128, 2)
        x = alpha_bar[t, None].sqrt() * x0 + (1 - alpha_bar[t, None]).sqrt() * eps
        optimiser.zero_grad()
        F.mse_loss(net(x, t.float()), eps).backward()
        optimiser.step()
        return True

    return _curve(step, lambda: excess_nll(tutorial_loop(net, betas), ROLL).value, (TUTORIAL,))


def share_shown() -> float:
    """Share of a watched training that is spent on the samples and numbers shown."""
    return Trajectory.decode(learning(Train(), "0" * 16)).header["shown"]


def share_in_network(batch: int, shared: int, repeats: int = 300) -> float:
    """Seconds of a training step spent in the network alone, forward and backward."""
    net: nn.Module = MLP()
    x, lam = torch.randn(batch // shared, shared, 2), torch.randn(batch // shared, 1)
    start = time.perf_counter()
    for _ in range(repeats):
        net(x, lam).square().mean().backward()
    return (time.perf_counter() - start) / repeats


def rows() -> Iterator[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the lab does: a network this small gains nothing from a second one
    curve, per_second = ours()
    share = share_in_network(Train().batch, Train().config.shared) * per_second
    yield Row("training steps per second, batch 1024", f"{per_second:.0f}", f"{share:.0%} in the network", "", "", None)
    shown = share_shown()
    yield Row("share of a watched training that showing it takes", f"{shown:.1%}", "", "", "≤ 5 %", shown <= 0.05)
    torch.set_num_threads(threads)
    for bar, nats in BARS.items():
        second, value = [(s, nll) for s, nll in curve.items() if s < bar + 1][-1]
        yield Row(
            f"excess NLL from nothing within {bar} s", f"{value:+.3f} nats", f"after {second:.0f} s", "",
            f"± {nats:.2f}", abs(value) <= nats,
        )  # fmt: skip
    ((slow, reached),) = tutorial().items()
    fast = next((second for second, value in curve.items() if value <= reached), float("inf"))
    yield Row(
        f"seconds to the tutorial recipe's {reached:.2f} nats", f"{fast:.1f} s", f"tutorial recipe: {slow:.0f} s",
        f"{slow / fast:.0f} x", "≥ 40 x", slow / fast >= 40,
    )  # fmt: skip
