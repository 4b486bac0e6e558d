"""Evaluation of a network for points: its samples beside the data, on schedules not used in training."""

from __future__ import annotations

from typing import Any

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.device import sample
from ddpm_core.metrics.registry import METRICS, PANEL
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
REPEATS = 3  # sets of samples; the middle one of three perfect ones leaves their range in 1 case of 140


def measure(denoiser: NetworkDenoiser, mixture: GaussianMixture, n: int, seed: int = 0) -> list[dict]:
    """One row for each of EVALUATIONS: each metric of PANEL as the fields of a Measured, medians over REPEATS seeds.

    ValueError unless n, the number of samples, is at least 1.
    """
    if n < 1:
        raise ValueError(f"need at least 1 of samples, got {n}")
    device, rows = next(denoiser.net.parameters()).device, []
    for sampler, options, schedule, T in EVALUATIONS:
        noises = (ParticleNoise(k, n, device=device) for k in range(seed, seed + REPEATS))
        clouds = [sample(sampler, denoiser, SCHEDULES[schedule](T), noise, **options).x.cpu() for noise in noises]
        row: dict = {"sampler": " ".join([sampler, *options.values()]), "schedule": f"{schedule} T={T}", "n": n}
        for name in PANEL:
            runs = sorted(METRICS[name].measure(x, mixture) for x in clouds)  # by value
            row[name] = runs[REPEATS // 2]._asdict()
        rows.append(row)
    return rows
