"""What several exhibits stream: particles, their colours, the data behind them, and how far they are from them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any

import numpy as np

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, Denoiser, MixtureDenoiser, ParticleNoise, load_checkpoint
from ddpm_core import device as devices
from ddpm_ui.recipes import Noised, Recipe, RecipeError, film_times, mixture_of
from ddpm_ui.server import models, wire
from ddpm_ui.server.wire import Axis, json_chunk
from ddpm_ui.words import name_of

CLOUD_SIZE = 2000
MEASURED_SIZE = 4000  # points that the distances between two clouds look at; their time grows faster than n
_shipped = lru_cache(maxsize=32)(load_checkpoint)


def denoiser_of(kind: str, data: str) -> Denoiser:
    """RecipeError if there is none: no network for people's own data, or a run that is no longer here."""
    if kind == "exact":
        return MixtureDenoiser(mixture_of(data))
    if kind.startswith("run."):
        return models.find(kind.removeprefix("run.")).denoiser
    if data not in DATASETS:
        raise RecipeError("no_network")
    return _shipped(data, devices.pick())


def network(recipe: Any) -> Denoiser | None:
    """The denoiser that a recipe asks for, if it asks for one."""
    return denoiser_of(recipe.denoiser, recipe.data) if hasattr(recipe, "denoiser") else None


def badge(denoiser: str) -> str:
    return "exact" if denoiser == "exact" else "learned"


def title(recipe: Recipe, part: str) -> list[str]:
    """What the picture is called, as keys of the words on the page."""
    return [name_of(recipe.data), part]


@lru_cache(maxsize=64)
def destination_colours(data: str, seed: int, n: int) -> bytes:
    """Where the exact probability flow carries each particle's noise, whatever sampler is on the screen.

    So a particle has one colour everywhere, and stochastic samplers show how they stray from the flow.
    """
    mixture, start = mixture_of(data), ParticleNoise(seed, n).start()
    *_, last = SAMPLERS["ddim"](MixtureDenoiser(mixture), SCHEDULES["cosine"](24), start, noise=ParticleNoise(seed, n))
    return wire.colours(mixture.component_of(last.x), mixture.K)


STORED = 64  # steps that are sent, of however many are walked: as many as the eye needs


def stored_times(T: int, film: tuple[int, ...] = ()) -> list[int]:
    """The times that are sent: evenly spread, both ends among them, and those of the film strip; ascending."""
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
    """What there is to say of a sample below its picture, a line more with every message.

    A measure says its `value`, and of it what it knows: `floor` and `n`, the 95 % `interval`, the `p` of a test.
    """
    metrics = []
    for name, unit, measure in measures:
        metrics.append({"name": name, "unit": unit, **measure()})
        yield json_chunk({"metrics": metrics})
