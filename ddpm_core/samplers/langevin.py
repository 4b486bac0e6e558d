"""Langevin dynamics: follow the score, with noise, at one noise level or down a ladder of them (Song & Ermon 2019).

In theory it samples the noised law at its level; in practice it cannot cross the empty space between far modes, so that
it keeps whatever share of the particles each mode was given. Starting at a level where the modes are one mends that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prepared import prepared
from ddpm_core.samplers.stepping import Noise
from ddpm_core.schedules import Schedule


class Move(NamedTuple):
    k: int  # moves made so far, from 1: as many network evaluations
    x: Tensor  # [n, ...] where the particles are after it
    alpha: float  # the noise level that it was made at
    sigma: float


def _moves(
    denoiser: Denoiser, x: Tensor, levels: Iterable[tuple[float, float]], step: float, noise: Noise
) -> Iterator[Move]:
    """x + (h / 2) score + sqrt(h) z with h = step sigma^2, once at each of the levels."""
    for k, (alpha, sigma) in enumerate(levels, 1):
        x = x + sigma * (step**0.5 * noise(k).to(x) - step / 2 * denoiser(x, alpha, sigma).eps)
        yield Move(k, x, alpha, sigma)


def langevin(
    denoiser: Denoiser, x: Tensor, alpha: float, sigma: float, *, step: float = 0.1, steps: int = 100, noise: Noise
) -> Iterator[Move]:
    """`steps` moves of x [n, ...] towards the law of alpha x0 + sigma eps; yields after each.

    step: size h of a move in units of sigma^2 (x + h/2 score + sqrt(h) z); the law that it settles in is wider than the
    true one by a share of at most step / (4 - step) of the variance, and there is none from step = 4 on.
    noise: k -> z [n, ...] for move k, such as a ParticleNoise.
    """
    return _moves(denoiser, x, [(alpha, sigma)] * steps, step, noise)


def annealed(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, *, steps_per_level: int = 100, step: float = 0.1, noise: Noise
) -> Iterator[Move]:
    """`steps_per_level` moves at each level from T to 1 (Song & Ermon 2019, algorithm 1); yields after each.

    Their step sizes, proportional to sigma^2; x is handed from level to level as it is. It starts well from
    schedule.scale[-1] * noise.start(), and ends at level 1, with that level's noise still on it.
    """
    levels = [level for level in schedule.levels[:0:-1] for _ in range(steps_per_level)]
    return _moves(prepared(denoiser, schedule.levels), x, levels, step, noise)
