"""The stream of Three views: vector fields over the plane at every noise level."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache

import torch
from torch import Tensor

from ddpm_core import MixtureDenoiser, ParticleNoise, Prediction
from ddpm_core.analysis.fields import conversion_residual
from ddpm_core.schedules import levels_at
from ddpm_ui.exhibits.particles import badge, denoiser_of, title
from ddpm_ui.exhibits.plane import LEVELS, SIDE
from ddpm_ui.exhibits.plane import POINTS as PLANE
from ddpm_ui.exhibits.views.recipe import Views
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import wire
from ddpm_ui.server.wire import Axis, json_chunk

VIEWS = ("eps", "x0", "score", "v")
LAM = torch.linspace(4.0, -3.0, LEVELS, dtype=torch.float64)  # data left, noise right
START = 10  # the level that is shown first
POINTS = 512  # noisy points behind each number of a curve


def _noised(recipe: Views, n: int, levels: list[tuple[float, float]]) -> list[Tensor]:
    """The same n particles at each level, [n, 2] each."""
    noise = ParticleNoise(recipe.seed, n)
    x0, eps = noise.data(mixture_of(recipe.data))[0], noise.start()
    return [alpha * x0 + sigma * eps for alpha, sigma in levels]


def _arrows(prediction: Prediction) -> Tensor:
    """The four views as vectors at the points, [4, n, 2]; x0-hat as its offset from the point."""
    way = {"x0": prediction.x0 - prediction.x}
    return torch.stack([way.get(view, getattr(prediction, view)) for view in VIEWS])


@lru_cache(maxsize=64)
def _errors(recipe: Views) -> tuple[dict[str, list[float]], float]:
    """Relative root-mean-square error of each view at each level, and the largest conversion error between views."""
    levels = levels_at(LAM)
    denoiser, exact = denoiser_of(recipe.denoiser, recipe.data), MixtureDenoiser(mixture_of(recipe.data))
    error: dict[str, list[float]] = {view: [] for view in VIEWS}
    residual = 0.0
    for x, level in zip(_noised(recipe, POINTS, levels), levels, strict=True):
        said, true = denoiser(x.float(), *level), exact(x, *level)
        residual = max(residual, conversion_residual(said))
        for view in VIEWS:
            a, b = getattr(said, view).double(), getattr(true, view)
            error[view].append(((a - b).norm() / b.norm()).item())
    return error, residual


def fields(recipe: Views) -> Generator[bytes, None, None]:
    """The fields of the denoiser and of the exact one on a grid at every level, and the errors between them."""
    mixture, levels = mixture_of(recipe.data), levels_at(LAM)
    denoiser, exact = denoiser_of(recipe.denoiser, recipe.data), MixtureDenoiser(mixture)
    error, residual = _errors(recipe.seen)
    alpha, sigma = (list(part) for part in zip(*levels, strict=True))
    yield wire.header(
        Axis("noise_level", LEVELS - 1), side=SIDE, rows=(badge(recipe.denoiser), "exact"), views=VIEWS, alpha=alpha,
        sigma=sigma, unit=1 / wire.LARGEST, start=START, title=title(recipe, "tab_views"), residual=residual,
        error=error,
    )  # fmt: skip
    for index, level in enumerate(levels):
        both = torch.stack([_arrows(model(PLANE.float(), *level)) for model in (denoiser, exact)]).double()
        yield wire.field(index, both, mixture.noised(*level).log_prob(PLANE))
    yield json_chunk({"done": True})
