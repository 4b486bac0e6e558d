"""Image edits with the same model: starting from a noised image or from mixed noise, keeping known pixels.

Each is a start, a shorter schedule or a wrapped denoiser, so it works with every sampler, and with points x [n, ...] of
any shape.
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
    """The schedule from level t back to data, and x0 [n, ...] noised to level t of `schedule` by unit noise eps.

    Details finer than the noise are made anew, coarser ones stay (SDEdit, Meng et al. 2022, section 3). ValueError
    unless t lies in 1 .. T.
    """
    if not 1 <= t <= schedule.T:
        raise ValueError(f"t must lie in 1 .. {schedule.T}, got {t}")
    return schedule.keep(torch.arange(t + 1)), schedule.jump(x0, t, eps)


def interpolated_noise(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Spherical interpolation of unit noises a and b, both [...], at shares [m] of the angle between them; [m, ...].

    Share 0 is a and share 1 is b. In between the noise is as long as they are; their mean would be shorter, which no
    model was trained for (Song et al. 2021, DDIM, eq. 67).
    """
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = cosine.clamp(-1, 1).arccos().clamp(min=1e-4)  # below, the circle is a line
    shares = shares.to(a).view(-1, *[1] * a.ndim)
    return (((1 - shares) * angle).sin() * a + (shares * angle).sin() * b) / angle.sin()


class Inpainting:
    """A denoiser that knows some coordinates of the clean point.

    known, mask [n, ...] or [...]: x0 where mask is true. Samplers carry the known part through the noise levels with
    the noise it started from, so the network sees it as noisy as the rest (replacement: Song et al. 2021, appendix I.2;
    RePaint, Lugmayr et al. 2022). An approximation: the unknown part fits the known one as well as one pass makes it.

    Samples agree with `known` to the last bit for every sampler that ends on x0-hat itself: all but "adaptive", where
    x0-hat is computed from v and rounded.
    """

    def __init__(self, denoiser: Denoiser, known: Tensor, mask: Tensor):
        self.denoiser, self.known, self.mask = denoiser, known, mask
        self.evaluations = evaluations(denoiser)

    def prepare(self, levels: Iterable[NoiseLevel]) -> Inpainting:
        return Inpainting(prepared(self.denoiser, levels), self.known, self.mask)

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        x0 = self.denoiser(x, alpha, sigma).x0
        return Prediction.of(x, alpha, sigma, x0=torch.where(self.mask, self.known.to(x0), x0))
