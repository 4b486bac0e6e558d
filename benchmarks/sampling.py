"""1,000 DDPM steps of 2,000 points: ours, a plain loop with either network, and diffusers' scheduler with ours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from benchmarks.row import Row, medians
from ddpm_core import ParticleNoise, load_checkpoint
from ddpm_core import device as devices
from ddpm_core.schedules import linear

N, T = 2_000, 1_000


class TutorialNetwork(nn.Module):
    """The network of public tutorials: 512 wide, with a time embedding for every sample."""

    frequencies: Tensor

    def __init__(self):
        super().__init__()
        self.x = nn.Sequential(nn.Linear(2, 256), nn.LayerNorm(256), nn.SiLU(), nn.Linear(256, 256))
        self.time = nn.Sequential(nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 256))
        core = [nn.Linear(512, 512), nn.LayerNorm(512), nn.SiLU(), nn.Linear(512, 256), nn.LayerNorm(256), nn.SiLU()]
        self.core = nn.Sequential(*core, nn.Linear(256, 2))
        self.register_buffer("frequencies", torch.exp(-torch.linspace(0, 9.21, 32)))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # [n, 2], [n] -> [n, 2]
        phase = t[:, None] * self.frequencies
        return self.core(torch.cat([self.x(x), self.time(torch.cat([phase.sin(), phase.cos()], -1))], -1))


@torch.no_grad()
def plain_loop(eps: Callable[[Tensor, int], Tensor], betas: Tensor) -> Tensor:
    """Ho et al. 2020, algorithm 2, as it is written there; eps(x, t) for t = T - 1 .. 0."""
    alphas, alpha_bar = 1 - betas, (1 - betas).cumprod(0)
    x = torch.randn(N, 2, device=betas.device)
    for t in reversed(range(T)):
        x = (x - betas[t] / (1 - alpha_bar[t]).sqrt() * eps(x, t)) / alphas[t].sqrt()
        if t > 0:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    return x


def tutorial_loop(net: TutorialNetwork, betas: Tensor) -> Tensor:
    return plain_loop(lambda x, t: net(x, torch.full((N,), float(t), device=x.device)), betas)


def weights(net: nn.Module) -> str:
    return f"{sum(p.numel() for p in net.parameters()):,} weights"


@torch.no_grad()
def diffusers_loop(net: nn.Module, lam: Tensor, device: torch.device) -> Tensor:
    scheduler = DDPMScheduler(T, 1e-4, 0.02, "linear", clip_sample=False, prediction_type="v_prediction")
    scheduler.set_timesteps(T)
    x = torch.randn(N, 2, device=device)
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, lam[t + 1]), t, x).prev_sample
    return x


def rows() -> Iterator[Row]:
    device, schedule = devices.pick(), linear(T)
    denoiser, tutorial = load_checkpoint("swiss_roll", device), TutorialNetwork().to(device).eval()
    noise = ParticleNoise(0, N, device=device)
    betas, lam = schedule.betas.float().to(device), schedule.lam.float().to(device)
    alpha, sigma = schedule.alpha.tolist(), schedule.sigma.tolist()

    def ours():
        steps = devices.run_sampler("ddpm", denoiser, schedule, noise.start(), noise=noise, variance="beta")
        deque(steps, maxlen=1)[0].x.cpu()  # on a GPU, wait for it

    def plain():
        net = denoiser.net  # predicts v
        plain_loop(lambda x, t: sigma[t + 1] * x + alpha[t + 1] * net(x, lam[t + 1]), betas).cpu()

    peers = [
        (f"plain loop, {weights(tutorial)}", lambda: tutorial_loop(tutorial, betas).cpu(), 3, 20.0),
        ("plain loop, our network", plain, 15, 1.0),
        ("diffusers' loop, our network", lambda: diffusers_loop(denoiser.net, lam, device).cpu(), 15, 1.0),
    ]
    what = f"{T} DDPM steps of {N} points, {weights(denoiser.net)}, {devices.describe(device)}"
    for name, peer, repeats, bar in peers:
        seconds = medians({"ours": ours, "peer": peer}, repeats)
        ratio = seconds["peer"] / seconds["ours"]
        mine, theirs = f"{seconds['ours']:.2f} s", f"{name}: {seconds['peer']:.2f} s"
        yield Row(what, mine, theirs, f"{ratio:.1f} x", f"≥ {bar:g} x", ratio >= bar)
