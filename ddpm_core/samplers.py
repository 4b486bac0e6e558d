"""Samplers: generators that walk a schedule from noise (t = T) to data (t = 0).

Every sampler has the signature

    sampler(denoiser, schedule, x_T, *, noise, <own options>) -> Iterator[Step]

and yields Step(t, x, prediction, nfe) for t = T .. 0; the last one has t == 0 and its x is the sample. `noise` is any
callable t -> z, the fresh unit noise [n, ...] for the step that leaves t. Start from x_T = schedule.scale[-1] * z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .denoisers import Denoiser, along
from .mixtures import GaussianMixture
from .prediction import Prediction
from .reverse_step import VARIANCES, posterior_coefficients, reverse_variances  # noqa: F401 - what ddpm knows
from .schedules import Schedule

Noise = Callable[[int], Tensor]


DATA_STREAM = 2**32  # later than any step


class ParticleNoise:
    """Unit normal noise whose row i depends on (seed, t, i) only: not on n, the device or the order of calls.

    numpy's counter-based Philox, keyed by (seed, t) and filled row by row, so that two runs with different samplers or
    numbers of particles can be compared particle by particle.
    """

    def __init__(self, seed: int, n: int, shape: tuple[int, ...] = (2,), device: torch.device | str = "cpu"):
        if not 0 <= seed < 2**64 or n < 0:
            raise ValueError(f"need seed in 0 .. 2^64 - 1 and n >= 0, got seed = {seed}, n = {n}")
        self.seed, self.shape, self.device = seed, (n, *shape), device

    def __call__(self, t: int) -> Tensor:
        """z for the step that leaves t, float32 [n, *shape]."""
        bits = np.random.Philox(key=np.array([self.seed, t], dtype=np.uint64))
        z = np.random.Generator(bits).standard_normal(self.shape, dtype=np.float32)
        return torch.from_numpy(z).to(self.device)

    def start(self) -> Tensor:
        """The unit noise that particles start from [n, *shape]; no step leaves t = 0, so its stream is free for it."""
        return self(0)

    def data(self, mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
        """Particle i's point in the data [n, D] and the component that it belongs to [n], by the same rule."""
        draw = ParticleNoise(self.seed, self.shape[0], (mixture.D + 1,))
        return mixture.components_from_noise(draw(DATA_STREAM))


@dataclass(frozen=True, eq=False)
class Step:
    t: int  # index into the schedule, T .. 0
    x: Tensor  # [n, ...] where the particles are at t
    prediction: Prediction  # what the denoiser says of x; at t = 0, where nothing is asked, x0 is x
    nfe: int  # network evaluations so far


def _walk(denoiser: Denoiser, schedule: Schedule, x: Tensor, update: Callable[[int, Tensor, Prediction], Tensor]):
    """Ask once at every level, let `update(t, x_t, prediction)` give x_{t-1}: what all one-step samplers share."""
    denoiser, alpha, sigma = along(denoiser, schedule), schedule.alpha.tolist(), schedule.sigma.tolist()
    for t in range(schedule.T, 0, -1):
        prediction = denoiser(x, alpha[t], sigma[t])
        yield Step(t, x, prediction, schedule.T - t + 1)
        x = update(t, x, prediction)
    yield Step(0, x, Prediction.of(x, 1.0, 0.0, x0=x), schedule.T)


def ddpm(
    denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, variance: str = "beta_tilde"
) -> Iterator[Step]:
    """Ancestral sampling from q(x_{t-1} | x_t, x0-hat) (Ho et al. 2020, eq. 6, 7 and algorithm 2), on any path.

    variance: "beta", the one-step noise of the chain, or "beta_tilde", the posterior's. No noise at the last step.
    """
    of_x0, of_x = (part.tolist() for part in posterior_coefficients(schedule))
    std = reverse_variances(schedule, variance).sqrt().tolist()

    def update(t: int, x: Tensor, prediction: Prediction) -> Tensor:
        mean = of_x0[t - 1] * prediction.x0 + of_x[t - 1] * x
        return mean + std[t - 1] * noise(t).to(x) if t > 1 else mean

    return _walk(denoiser, schedule, x_T, update)


def ddim(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, eta: float = 0.0) -> Iterator[Step]:
    """Denoise, then noise again with partly old, partly fresh noise (Song et al. 2021, eq. 12 and 16).

    eta = 0 is deterministic, eta = 1 is `ddpm` with beta_tilde on any stride.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in 0 .. 1, got {eta}")
    alpha, sigma = schedule.alpha.tolist(), schedule.sigma.tolist()

    def update(t: int, x: Tensor, prediction: Prediction) -> Tensor:
        fresh = eta * schedule.transition(t - 1, t)[1] * sigma[t - 1] / sigma[t]
        kept = math.sqrt(max(sigma[t - 1] ** 2 - fresh**2, 0.0))
        x = alpha[t - 1] * prediction.x0 + kept * prediction.eps
        return x + fresh * noise(t).to(x) if fresh > 0 else x

    return _walk(denoiser, schedule, x_T, update)


def euler(denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Euler's method on the probability-flow ODE dx/dt = alpha' x0-hat + sigma' eps-hat; deterministic.

    Equals DDIM where alpha and sigma are affine in t (flow matching), and only there.
    """
    d_alpha, d_sigma = (slope.tolist() for slope in schedule.path_slope())

    def update(t: int, x: Tensor, prediction: Prediction) -> Tensor:
        return x - prediction.velocity(d_alpha[t], d_sigma[t])

    return _walk(denoiser, schedule, x_T, update)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {"ddpm": ddpm, "ddim": ddim, "euler": euler}
