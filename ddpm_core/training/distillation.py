"""Distillation of guidance: a network learns its own guided output, in one evaluation (Meng et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Teacher:
    """A frozen copy of a network with two kinds of guidance. One evaluation of the student then replaces three.

    weight  classifier-free guidance (Ho & Salimans 2022), at half-log-SNR `above` or higher (Kynkaanniemi et al. 2024)
    weaker  a network with less training on the same data
    away    autoguidance: extrapolation away from the weaker network, which makes the same errors, only larger
            (Karras et al. 2024, eq. 3, whose w is 1 + away)

    ValueError unless weight >= 1, away >= 0, and `weaker` is given exactly if away > 0.
    """

    net: nn.Module
    weight: float = 1.0
    above: float = -math.inf
    weaker: nn.Module | None = None
    away: float = 0.0

    def __post_init__(self):
        if not (1 <= self.weight < math.inf and 0 <= self.away < math.inf):
            raise ValueError(f"need weight >= 1 and away >= 0, got weight = {self.weight}, away = {self.away}")
        if (self.weaker is None) != (self.away == 0):
            raise ValueError("autoguidance needs both, a weaker network and away > 0")

    @torch.no_grad()
    def __call__(self, x: Tensor, lam: Tensor, *label: Tensor) -> Tensor:
        """The guided output for x [levels, points, ...] and lam [levels, 1]; shaped like x.

        Class-conditional networks also take label [levels, points]. Points without a label get no classifier-free
        guidance.
        """
        told = self.net(x, lam, *label)
        target = told.clone()
        if self.weaker is not None:
            target += self.away * (told - self.weaker(x, lam, *label))
        if label and self.weight > 1:
            rows = lam.squeeze(1) >= self.above
            target[rows] += (self.weight - 1) * (told[rows] - self.net(x[rows], lam[rows]))
        return target
