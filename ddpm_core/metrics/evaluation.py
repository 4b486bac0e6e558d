"""Evaluation of a network for points: distances of its samples to the data, on schedules not used in training."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.device import sample
from ddpm_core.metrics.registry import Measured, energy_distance, excess_nll, sliced_w2
from ddpm_core.models.denoisers import NetworkDenoiser
from ddpm_core.samplers.particle_noise import ParticleNoise
from ddpm_core.schedules import SCHEDULES

# (sampler, its options, schedule, T)
EVALUATIONS: list[tuple[str, dict[str, Any], str, int]] = [
    ("ddpm", {"variance": "beta"}, "linear", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "linear", 1000),
    ("ddpm", {"variance": "beta"}, "cosine", 1000),
    ("ddpm", {"variance": "beta_tilde"}, "cosine", 1000),
    ("euler", {}, "flow", 50),
]
REPEATS = 9  # a single distance varies by half a floor between sets of samples


def measure(denoiser: NetworkDenoiser, mixture: GaussianMixture, n: int, seed: int = 0) -> list[dict]:
    """One row for each of EVALUATIONS: three distances to the data, each with its floor, medians over REPEATS seeds.

    ValueError unless n, the number of samples, is at least 1.
    """
    if n < 1:
        raise ValueError(f"need at least 1 of samples, got {n}")
    device, rows = next(denoiser.net.parameters()).device, []
    for sampler, options, schedule, T in EVALUATIONS:
        runs: dict[str, list[Measured]] = {"excess_nll": [], "sliced_w2": [], "energy_distance": []}
        for k in range(seed, seed + REPEATS):
            truth = mixture.sample(n, generator=torch.Generator().manual_seed(k + 1))
            noise = ParticleNoise(k, n, device=device)
            x = sample(sampler, denoiser, SCHEDULES[schedule](T), noise, **options).x.cpu()
            runs["excess_nll"].append(excess_nll(x, mixture))
            runs["sliced_w2"].append(sliced_w2(x, truth))
            runs["energy_distance"].append(energy_distance(x, truth))
        row: dict = {"sampler": " ".join([sampler, *options.values()]), "schedule": f"{schedule} T={T}", "n": n}
        for name, run in runs.items():
            row[name] = {field: median(getattr(m, field) for m in run) for field in ("value", "floor")}
        rows.append(row)
    return rows
