"""Samplers of other libraries, asked the exact answers of a Walk and fed its noise."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any
from unittest import mock

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import torch

from audit.law import Array, torch_of
from audit.walk import Walk


@contextmanager
def drawing(walk: Walk) -> Iterator[None]:
    """Whoever draws gets the noise of the walk, that of T first."""
    draws = (torch_of(walk.z[t]) for t in walk.downward)
    with mock.patch.object(torch, "randn_like", side_effect=draws):
        yield


class Exact(azula.denoise.Denoiser):
    """The answers of a walk as a denoiser of azula, whose time is our index."""

    def __init__(self, walk: Walk):
        super().__init__()
        self.walk, levels = walk, (torch_of(walk.alpha), torch_of(walk.sigma))
        self.schedule = lambda t: tuple(level[t.long()] for level in levels)

    def forward(self, x: torch.Tensor, t: torch.Tensor, **_) -> azula.denoise.Posterior:
        return azula.denoise.DiracPosterior(torch_of(self.walk.x0(x.numpy(), int(t))))


def with_azula(walk: Walk, *, kind: str, **options) -> Array:
    """It takes log sigma, so it cannot go into data: that step is x0-hat."""
    sampler = getattr(azula.sample, f"{kind}Sampler")
    walked = sampler(Exact(walk), start=walk.T, stop=1, steps=walk.T - 1, silent=True, dtype=torch.float64, **options)
    with drawing(walk):
        return walk.x0(walked(torch_of(walk.start)).numpy(), 1)


def with_diffusers(walk: Walk, *, kind: str, **given: Any) -> Array:
    """On the linear path to level 1, where it is told to keep its order; the step into data is x0-hat."""
    options = {"prediction_type": "sample", "lower_order_final": False} | given
    scheduler = getattr(diffusers, f"{kind}Scheduler")(
        1000, beta_schedule="linear", timestep_spacing="trailing", **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, about how tables are made
        scheduler.set_timesteps(walk.T - 1)
        scheduler.sigmas = torch_of((walk.sigma / walk.alpha)[:0:-1])
        x = torch_of(walk.start)
        for t, timestep in zip(range(walk.T, 1, -1), scheduler.timesteps, strict=True):
            extra = {"variance_noise": torch_of(walk.z[t])} if "sde" in given.get("algorithm_type", "") else {}
            x = scheduler.step(torch_of(walk.x0(x.numpy(), t)), timestep, x, **extra).prev_sample
    return walk.x0(x.numpy(), 1)


@lru_cache(maxsize=1)
def k_diffusion() -> ModuleType | None:
    """Its `sampling` alone, without what the package imports for training; None if it is not installed."""
    if not (package := importlib.util.find_spec("k_diffusion")):
        return None
    unused = ("torchvision", "torchvision.transforms", "torchdiffeq", "torchsde")
    bare = ModuleType("k_diffusion")
    bare.__path__ = list(package.submodule_search_locations or [])
    with mock.patch.dict(sys.modules, {"k_diffusion": bare} | {name: mock.MagicMock() for name in unused}):
        return importlib.import_module("k_diffusion.sampling")


def with_k_diffusion(walk: Walk, *, kind: str, **options) -> Array:
    """On the Karras path, the only one that it knows; into data as well, but for `lms`, whose order is kept there."""
    sampling = k_diffusion()
    assert sampling is not None and (walk.alpha == 1).all()

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return torch_of(walk.law.posterior(x.numpy(), 1.0, sigma[0].item())[0])

    if "sde" in kind:
        draws = (torch_of(walk.z[t]) for t in walk.downward)
        options["noise_sampler"] = lambda *_: next(draws)
    with drawing(walk):
        levels = torch_of(walk.sigma[: 0 if kind == "lms" else None : -1])
        sampler = getattr(sampling, f"sample_{kind}")
        x = sampler(model, torch_of(walk.start), levels, disable=True, **options).numpy()
    return walk.x0(x, 1) if kind == "lms" else x
