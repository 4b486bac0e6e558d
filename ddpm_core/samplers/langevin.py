"""Langevin dynamics: follow the score, with noise, at one noise level or down a ladder of them (Song & Ermon 2019).

In theory it samples the noised law at its level. In practice it cannot cross the empty space between distant modes, so
each mode keeps the particles that it started with. Starting at a level where the modes have merged solves this.
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
    k: int  # moves so far, counted from 1; as many network evaluations
    x: Tensor  # [n, ...] where the particles are after this move
    alpha: float  # the noise level of this move
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
    """`steps` moves of x [n, ...] toward the law of alpha x0 + sigma eps; yields after each move

        x <- x + h/2 score(x) + sqrt(h) z,    h = step sigma^2.

    step: its variance settles at most a share step / (4 - step) above the true one; from step = 4 on it diverges.
    noise: k -> z [n, ...] for move k, such as a ParticleNoise.
    """
    return _moves(denoiser, x, [(alpha, sigma)] * steps, step, noise)


def annealed(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, *, steps_per_level: int = 100, step: float = 0.1, noise: Noise
) -> Iterator[Move]:
    """`steps_per_level` moves at each level from T to 1 (Song & Ermon 2019, algorithm 1); yields after each.

    Step sizes are proportional to sigma^2, as theirs; x goes from level to level as it is. A good start is
    schedule.scale[-1] * noise.start(). The end is at level 1, with that level's noise still in x.
    """
    levels = [level for level in schedule.levels[:0:-1] for _ in range(steps_per_level)]
    return _moves(prepared(denoiser, schedule.levels), x, levels, step, noise)
