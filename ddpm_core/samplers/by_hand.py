"""DDPM, DDIM and Heun's method by hand: each as its paper writes it, in one loop, before anything is shared or general.

`denoiser(x, alpha, sigma)` gives x0-hat and eps-hat, `noise(t)` the z for the step that leaves t; each generator yields
x_t for t = T .. 0. SAMPLERS has the same methods on every path, and tests hold them equal to these.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.samplers.stepping import Noise
from ddpm_core.schedules import Schedule


def ddpm_by_hand(denoiser: Denoiser, schedule: Schedule, x: Tensor, *, noise: Noise) -> Iterator[Tensor]:
    """Ancestral sampling on a variance-preserving schedule (Ho et al. 2020, algorithm 2, with eq. 6 and 7):

    mean        = sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t) x0-hat
                  + sqrt(1 - beta_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t
    beta_tilde  = (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t
    x_{t-1}     = mean + sqrt(beta_tilde) z,    no noise at the last step.
    """
    alpha_bar, betas = schedule.alpha_bar.tolist(), schedule.betas.tolist()
    yield x
    for t in range(schedule.T, 0, -1):
        now, before, beta = alpha_bar[t], alpha_bar[t - 1], betas[t - 1]
        x0 = denoiser(x, sqrt(now), sqrt(1 - now)).x0
        mean = sqrt(before) * beta / (1 - now) * x0 + sqrt(1 - beta) * (1 - before) / (1 - now) * x
        beta_tilde = (1 - before) / (1 - now) * beta
        x = mean + sqrt(beta_tilde) * noise(t) if t > 1 else mean
        yield x


def ddim_by_hand(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, *, noise: Noise, eta: float = 0.0
) -> Iterator[Tensor]:
    """Denoise and noise again, on a variance-preserving schedule (Song et al. 2021, eq. 12 and 16):

        s_t     = eta sqrt((1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_{t-1})
        x_{t-1} = sqrt(alpha_bar_{t-1}) x0-hat + sqrt(1 - alpha_bar_{t-1} - s_t^2) eps-hat + s_t z.

    eta = 0 is deterministic, eta = 1 is DDPM.
    """
    alpha_bar = schedule.alpha_bar.tolist()
    yield x
    for t in range(schedule.T, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        prediction = denoiser(x, sqrt(now), sqrt(1 - now))
        s = eta * sqrt((1 - before) / (1 - now)) * sqrt(1 - now / before)
        x = sqrt(before) * prediction.x0 + sqrt(1 - before - s**2) * prediction.eps
        if s > 0:
            x = x + s * noise(t)
        yield x


def heun_by_hand(denoiser: Denoiser, schedule: Schedule, x: Tensor) -> Iterator[Tensor]:
    """Heun's method where x = x0 + sigma eps, such as on the `karras` schedule (Karras et al. 2022, algorithm 1):

        d       = (x_t - x0-hat(x_t, sigma_t)) / sigma_t                   slope here
        x'      = x_t + (sigma_{t-1} - sigma_t) d                          Euler's step
        d'      = (x' - x0-hat(x', sigma_{t-1})) / sigma_{t-1}             slope there
        x_{t-1} = x_t + (sigma_{t-1} - sigma_t) (d + d') / 2

    and Euler's step alone at the last step, to sigma = 0.
    """
    sigma = schedule.sigma.tolist()
    yield x
    for t in range(schedule.T, 0, -1):
        now, before = sigma[t], sigma[t - 1]
        d = (x - denoiser(x, 1.0, now).x0) / now
        x_euler = x + (before - now) * d
        if before > 0:
            d_there = (x_euler - denoiser(x_euler, 1.0, before).x0) / before
            x = x + (before - now) * (d + d_there) / 2
        else:
            x = x_euler
        yield x
