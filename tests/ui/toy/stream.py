"""The toy exhibit as bytes: data that drift along an axis of their own, which knows no schedule."""

from __future__ import annotations

from collections.abc import Generator

import torch

from ddpm_ui.exhibits.particles import title
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import wire
from ddpm_ui.server.wire import Axis, json_chunk
from tests.ui.toy.recipe import Toy

LAST = 10


def drift(recipe: Toy) -> Generator[bytes, None, None]:
    mixture = mixture_of(recipe.data)
    x, component = mixture.sample_labelled(recipe.n, generator=torch.Generator().manual_seed(0))
    places = list(range(LAST + 1))
    yield wire.header(
        Axis("model_time", LAST, ("left", "right")), n=recipe.n, mode="frames", direction="forward",
        badge="illustrative", layers=["x"], times=places, title=title(recipe, "toy_drift"),
    )  # fmt: skip
    yield wire.colours(component, mixture.K)
    for k in places:
        yield wire.frame(k, 0, x + torch.tensor([recipe.speed * k / LAST, 0.0]))
    yield json_chunk({"done": True})
