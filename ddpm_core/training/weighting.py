"""Distribution and weight of the noise levels in training, and the smallest possible loss at each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.networks import LAM_RANGE
from ddpm_core.schedules import SCHEDULES, levels_at

if TYPE_CHECKING:
    from ddpm_core.training.loop import TrainConfig

WEIGHTINGS = ("uniform", "simple", "min_snr", "flat")
GAMMA = 5.0  # of min-SNR


def noise_levels(config: TrainConfig, u: Tensor) -> tuple[Tensor, Tensor]:
    """u [n], uniform in 0 .. 1 -> lam [n] and the weight [n] of the squared error of config.target there.

    uniform  lam uniform in its range, weight 1
    simple   t uniform over the schedule, weight 1 for the error of eps (Ho et al. 2020, eq. 14)
    min_snr  the same t, weight min(SNR, 5) for the error of x0 (Hang et al. 2023, section 3.4)
    flat     the same t, weight 1; for v this is SNR + 1 on the error of x0 (Salimans & Ho 2022, section 4)

    Errors of different views differ by a factor: d eps = alpha d v, d x0 = sigma d v.
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

    The exact posterior variance of x0, averaged over n points and converted to an error of the target.
    """
    generator, floors = torch.Generator().manual_seed(seed), []
    x0 = data.sample(n, generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    for alpha, sigma in levels_at(lam.double()):
        variance = data.posterior_variance(alpha * x0 + sigma * eps, alpha, sigma).mean()
        floors.append(variance * {"x0": 1.0, "eps": (alpha / sigma) ** 2, "v": 1 / sigma**2}[config.target])
    return torch.stack(floors)
