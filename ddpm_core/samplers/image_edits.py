"""Beginning or ending elsewhere with the same model: from a noised image, from mixed noise, around known pixels.

Each is a start, a shorter schedule or a wrapped denoiser, so that every sampler does it. Nothing here is about images
alone: points x [n, ...] of any shape will do.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, evaluations
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import prepared
from ddpm_core.schedules import NoiseLevel, Schedule


def back_from(x0: Tensor, schedule: Schedule, t: int, eps: Tensor) -> tuple[Schedule, Tensor]:
    """x0 [n, ...] noised to level t of `schedule` by unit noise eps, and the schedule that leads back from there.

    What is finer than the noise is made anew, what is coarser stays (SDEdit, Meng et al. 2022, section 3). ValueError
    unless t lies in 1 .. T.
    """
    if not 1 <= t <= schedule.T:
        raise ValueError(f"t must lie in 1 .. {schedule.T}, got {t}")
    return Schedule(schedule.alpha[: t + 1], schedule.sigma[: t + 1]), schedule.jump(x0, t, eps)


def between_noises(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Unit noises on the great circle from a to b, both [...], at shares [m] of its angle; [m, ...].

    At 0 it is a and at 1 it is b; in between it is as long as they are, where their mean would be shorter and so not
    what a model expects (Song et al. 2021, DDIM, eq. 67).
    """
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = cosine.clamp(-1, 1).arccos().clamp(min=1e-4)  # below, the circle is a line
    shares = shares.to(a).view(-1, *[1] * a.ndim)
    return (((1 - shares) * angle).sin() * a + (shares * angle).sin() * b) / angle.sin()


class Inpainting:
    """A denoiser that knows some coordinates of the clean point: the samples agree there to the last bit, with every
    sampler that ends on x0-hat itself: all but "adaptive", where it comes back from v, rounded, and "euler_velocity".

    known, mask [n, ...] or [...]: x0 where mask is true. Samplers carry what is known through the noise levels with the
    noise it started from, so the network sees it as noisy as the rest (replacement: Song et al. 2021, appendix I.2;
    RePaint, Lugmayr et al. 2022). An approximation: what is unknown fits what is known as well as one pass makes it.
    """

    def __init__(self, denoiser: Denoiser, known: Tensor, mask: Tensor):
        self.denoiser, self.known, self.mask = denoiser, known, mask
        self.evaluations = evaluations(denoiser)

    def prepare(self, levels: Iterable[NoiseLevel]) -> Inpainting:
        return Inpainting(prepared(self.denoiser, levels), self.known, self.mask)

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        x0 = self.denoiser(x, alpha, sigma).x0
        return Prediction.of(x, alpha, sigma, x0=torch.where(self.mask, self.known.to(x0), x0))
