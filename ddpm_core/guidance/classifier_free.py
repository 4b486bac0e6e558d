"""Classifier-free guidance: exaggerate what a condition changes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.models.prepared import prepared
from ddpm_core.schedules import NoiseLevel


class ClassifierFree:
    """The denoiser with the score

        s(x) = s_unconditional(x) + weight (s_conditional(x) - s_unconditional(x)),

    and likewise eps, x0 and v, which are affine in the score (Ho & Salimans 2022, eq. 6, whose w is weight - 1).
    Weight 1 is the conditional denoiser, 0 the unconditional one; above 1 trades variety for typical samples.
    """

    def __init__(self, conditional: Denoiser, unconditional: Denoiser, weight: float):
        self.conditional, self.unconditional, self.weight = conditional, unconditional, weight
        self.evaluations = 1 if weight in (0, 1) else 2

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        if self.weight == 1:
            return self.conditional(x, alpha, sigma)
        if self.weight == 0:
            return self.unconditional(x, alpha, sigma)
        conditional, unconditional = self.both(x, alpha, sigma)
        view = conditional.given
        value = torch.lerp(getattr(unconditional, view), conditional.value, self.weight)
        return Prediction.of(x, alpha, sigma, **{view: value})

    def both(self, x: Tensor, alpha: float, sigma: float) -> tuple[Prediction, Prediction]:
        """The conditional and the unconditional prediction."""
        return self.conditional(x, alpha, sigma), self.unconditional(x, alpha, sigma)

    def prepare(self, levels: Iterable[NoiseLevel]) -> ClassifierFree:
        """The same, both denoisers prepared to be asked at `levels`."""
        levels = list(levels)
        return ClassifierFree(prepared(self.conditional, levels), prepared(self.unconditional, levels), self.weight)
