"""Guidance of a network toward a label, with both questions asked in one pass through it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ddpm_core.guidance.classifier_free import ClassifierFree
from ddpm_core.models.denoisers import Denoiser, NetworkDenoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import NoiseLevel


class LabelGuidance(ClassifierFree):
    """ClassifierFree of one network with `label`, [] or [n], and without: x twice in one batch of 2 n."""

    def __init__(self, denoiser: NetworkDenoiser, label: Tensor | int, weight: float):
        super().__init__(denoiser.given_label(label), denoiser.given_label(None), weight)
        self.denoiser, self.label, self.any_class = denoiser, torch.as_tensor(label), denoiser.net.classes
        self.joint: tuple[int, NetworkDenoiser] = 0, denoiser  # n, and the network told n labels and n times "any"

    def both(self, x: Tensor, alpha: float, sigma: float) -> tuple[Prediction, Prediction]:
        n, joint = self.joint
        if n != len(x):
            label = self.label.expand(len(x))
            joint = self.denoiser.given_label(torch.cat([label, torch.full_like(label, self.any_class)]))
            self.joint = len(x), joint
        answer = joint(torch.cat([x, x]), alpha, sigma)
        conditional, unconditional = (Prediction(x, alpha, sigma, answer.given, part) for part in answer.value.chunk(2))
        return conditional, unconditional

    def prepare(self, levels: Iterable[NoiseLevel]) -> LabelGuidance:
        """Itself: networks that know labels have nothing to prepare."""
        return self


def guided(denoiser: NetworkDenoiser, label: Tensor | int | None, weight: float) -> Denoiser:
    """Classifier-free guidance toward `label`, [] or [n]; unconditional if `label` is None."""
    return denoiser if label is None else LabelGuidance(denoiser, label, weight)
