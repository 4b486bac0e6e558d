"""Shared by several streams: particles, their colours, the data behind them, and distances to the data."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, Denoiser, MixtureDenoiser, ParticleNoise, load_checkpoint
from ddpm_core import device as devices
from ddpm_ui.recipes import Noised, Recipe, RecipeError, film_times, mixture_of
from ddpm_ui.server import models, wire
from ddpm_ui.server.wire import Axis, json_chunk
from ddpm_ui.words import name_of

CLOUD_SIZE = 2000
_shipped = lru_cache(maxsize=32)(load_checkpoint)


def denoiser_of(kind: str, data: str) -> Denoiser:
    """The denoiser of this kind. RecipeError if there is none: own data have no network, a run may be gone."""
    if kind == "exact":
        return MixtureDenoiser(mixture_of(data))
    if kind.startswith("run."):
        return models.find(kind.removeprefix("run.")).denoiser
    if data not in DATASETS:
        raise RecipeError("no_network")
    return _shipped(data, devices.pick())


def network(recipe: Any) -> Denoiser | None:
    """The denoiser of a recipe, if it has one."""
    return denoiser_of(recipe.denoiser, recipe.data) if hasattr(recipe, "denoiser") else None


def badge(denoiser: str) -> str:
    return "exact" if denoiser == "exact" else "learned"


def title(recipe: Recipe, part: str) -> list[str]:
    """The title of a stage, as keys of the page's texts."""
    return [name_of(recipe.data), part]


@lru_cache(maxsize=64)
def destinations(data: str, seed: int, n: int) -> Tensor:
    """The component of the data to which the exact probability flow carries each particle's noise, [n].

    Found with 24 exact evaluations, a tenth of what `exact_flow` takes; 2 particles in 1,000 come to another class.
    """
    mixture, schedule, noise = mixture_of(data), SCHEDULES["karras"](24, 0.02, 20.0), ParticleNoise(seed, n)
    x_T = schedule.scale[-1].item() * noise.start()
    *_, last = SAMPLERS["deis"](MixtureDenoiser(mixture), schedule, x_T, noise=noise)
    return mixture.component_of(last.x)


def destination_colours(data: str, seed: int, n: int) -> bytes:
    """A colour for each particle: where the probability flow carries its noise, whatever the sampler.

    So a particle has the same colour everywhere, and one can see how stochastic samplers depart from the flow.
    """
    return wire.colours(destinations(data, seed, n), mixture_of(data).K)


STORED = 64  # largest number of steps that are sent; more are not visible


def stored_times(T: int, film: tuple[int, ...] = ()) -> list[int]:
    """The times that are sent, ascending: evenly spaced including both ends, and those of the film strip."""
    even = np.linspace(0, T, min(T, STORED) + 1).round().astype(int)
    return sorted({*even.tolist(), *film_times(T, film)})


def closed_form(recipe: Noised) -> Generator[bytes, None, None]:
    """The closed form: x0 and eps of every particle."""
    noise = ParticleNoise(recipe.seed, recipe.n)
    mixture = mixture_of(recipe.data)
    x0, component = noise.data(mixture)
    yield wire.header(
        Axis("t", recipe.T), levels=recipe.full_schedule, n=recipe.n, mode="mix", direction="forward", badge="exact",
        layers=["x"], title=title(recipe, "closed_form"),
    )  # fmt: skip
    yield wire.colours(component, mixture.K)
    yield wire.pair(x0, noise.start())
    yield json_chunk({"done": True})


def measured(measures: list[tuple[str, str, Callable[[], dict]]]) -> Generator[bytes, None, None]:
    """The metrics below a stage; each message has one more of them.

    A metric has a `value` and, where known, `floor` and `n`, the 95 % `interval`, and the `p` of a test.
    """
    metrics = []
    for name, unit, measure in measures:
        metrics.append({"name": name, "unit": unit, **measure()})
        yield json_chunk({"metrics": metrics})
