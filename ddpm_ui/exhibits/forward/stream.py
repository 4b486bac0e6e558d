"""The streams of Forward: the chain to compare with the closed form, and the drift fields."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from ddpm_core import MixtureDenoiser, ParticleNoise
from ddpm_core.analysis.fields import DriftFields, drift_fields
from ddpm_core.metrics.registry import moment_deviation
from ddpm_core.schedules import constant, unshrunk
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.exhibits.particles import stored_times, title
from ddpm_ui.exhibits.plane import LEVELS, POINTS, SIDE
from ddpm_ui.recipes import mixture_of
from ddpm_ui.server import wire
from ddpm_ui.server.wire import Axis, json_chunk

OTHERWISE = {"unshrunk": unshrunk, "constant": constant}


def _variance(x: Tensor, _: Tensor) -> float:
    return x.var(0, correction=0).mean().item()


def chain(recipe: Forward) -> Generator[bytes, None, None]:
    """A Markov chain from the same x0, step by step, with a number that describes it.

    `recipe.beside` selects the chain of the schedule, with its deviation from the closed form; one with the same noise
    but without the factor sqrt(1 - beta); or one with the same beta in every step that ends at the same alpha_bar.
    """
    noise, schedule = ParticleNoise(recipe.seed, recipe.n), recipe.full_schedule
    mixture = mixture_of(recipe.data)
    x0, component = noise.data(mixture)
    stored, as_it_is = stored_times(schedule.T, recipe.film), recipe.beside == "unshrunk"
    schedule = OTHERWISE[recipe.beside](schedule) if recipe.beside in OTHERWISE else schedule
    scale = torch.ones_like(schedule.scale) if as_it_is else schedule.scale
    name, measure = ("variance", _variance) if recipe.beside in OTHERWISE else ("deviation", moment_deviation)
    yield wire.header(
        Axis("t", schedule.T), levels=schedule, n=recipe.n, mode="frames", direction="forward", badge="exact",
        layers=["x"], times=stored, title=title(recipe, f"choice_{recipe.beside}"), as_it_is=as_it_is,
    )  # fmt: skip
    yield wire.colours(component, mixture.K)
    x, eps, series, keep = x0, noise.start(), [], set(stored)
    for t in range(schedule.T + 1):
        if t > 0:
            x = schedule.step(x, t, noise(t))
        if t in keep:
            here = x / scale[t]
            series.append(measure(here, schedule.jump(x0, t, eps) / scale[t]))
            yield wire.frame(t, 0, here)
    yield json_chunk({"series": {"name": name, "value": series}, "done": True})


def drifts(recipe: Forward) -> Generator[bytes, None, None]:
    """The drift and diffusion fields on a grid, at LEVELS times of the schedule."""
    mixture, schedule, points = mixture_of(recipe.data), recipe.full_schedule, POINTS
    times = torch.linspace(1, schedule.T, min(LEVELS, schedule.T)).round().int().tolist()
    alpha, sigma = (c[times] / schedule.scale[times] for c in (schedule.alpha, schedule.sigma))
    yield wire.header(
        Axis("t", schedule.T), side=SIDE, rows=("exact",), views=DriftFields._fields, times=times,
        alpha=alpha.tolist(), sigma=sigma.tolist(), unit=1 / wire.LARGEST, title=title(recipe, "drifts"),
    )  # fmt: skip
    for index, t in enumerate(times):
        level = alpha[index].item(), sigma[index].item()
        moves = drift_fields(MixtureDenoiser(mixture)(points, *level), schedule.betas[t - 1].item())
        yield wire.field(index, torch.stack(moves)[None], mixture.noised(*level).log_prob(points))
    yield json_chunk({"done": True})
