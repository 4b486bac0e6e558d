"""The stream of Reverse: a sampling run from noise to data."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from ddpm_core import METRICS, PANEL, GaussianMixture, ParticleNoise
from ddpm_core import device as devices
from ddpm_ui.exhibits.particles import (
    CLOUD_SIZE,
    badge,
    denoiser_of,
    destination_colours,
    measured,
    stored_times,
    title,
)
from ddpm_ui.exhibits.reverse.recipe import Reverse
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import wire
from ddpm_ui.server.wire import Axis, json_chunk


def reverse(recipe: Reverse) -> Generator[bytes, None, None]:
    """Each step of the sampler from noise to data, as it is computed; then the distances of the result to the data."""
    schedule, mixture = recipe.walked(), mixture_of(recipe.data)
    denoiser = denoiser_of(recipe.denoiser, recipe.data)
    device = devices.pick() if recipe.denoiser == "network" else torch.device("cpu")
    noise = ParticleNoise(recipe.seed, recipe.n, device=device)
    cloud = mixture.sample(min(recipe.n, CLOUD_SIZE), generator=torch.Generator().manual_seed(recipe.seed))
    stored = stored_times(schedule.T)
    yield wire.header(
        Axis("t", schedule.T), levels=schedule, n=recipe.n, mode="frames", direction="reverse",
        badge=badge(recipe.denoiser), layers=["x", "x0"], times=stored[::-1], data=len(cloud),
        device=devices.describe(device), title=title(recipe, f"choice_{recipe.sampler}"),
    )  # fmt: skip
    yield destination_colours(recipe.data, recipe.seed, recipe.n)
    yield wire.cloud(cloud)
    x_T, keep, spoke = schedule.scale[-1].item() * noise.start(), set(stored), time.monotonic()
    for step in devices.run_sampler(recipe.sampler, denoiser, schedule, x_T, noise=noise, **recipe.options()):
        if step.t in keep:
            yield wire.frame(step.t, step.nfe, step.x / schedule.scale[step.t].item(), step.prediction.x0)
            spoke = time.monotonic()
        elif time.monotonic() - spoke > 0.1:
            yield b""  # Stop can take effect here
            spoke = time.monotonic()
    sample = step.x.cpu()
    yield from measured([(name, METRICS[name].unit, partial(_measured, name, sample, mixture)) for name in PANEL])
    yield json_chunk({"done": True})


def _measured(name: str, sample: Tensor, mixture: GaussianMixture) -> dict:
    return METRICS[name].measure(sample, mixture)._asdict()
