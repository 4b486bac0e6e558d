"""Guidance that is learned: a network is taught what guidance makes of it, and says so alone (Meng et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Teacher:
    """A network as it was, frozen, and two kinds of guidance: what takes three evaluations, to be learned by one.

    weight  of guidance towards the label (Ho & Salimans 2022) from half-log-SNR `above` on (Kynkaanniemi et al. 2024)
    weaker  a network that has learned less of the same data, and
    away    how far to go from what it says: where it errs, the better one errs as well, only less, so what both lack
            lies further along (Karras et al. 2024, eq. 3, whose w is 1 + away)

    ValueError unless weight is at least 1, away at least 0, and there is a network to go away from.
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
            raise ValueError("to go away from a weaker network takes both, the network and how far (away above 0)")

    @torch.no_grad()
    def __call__(self, x: Tensor, lam: Tensor, *label: Tensor) -> Tensor:
        """x [levels, points, ...], lam [levels, 1], for networks that know classes label [levels, points] -> like x.

        Points without a class are guided away from the weaker network only.
        """
        told = self.net(x, lam, *label)
        target = told.clone()
        if self.weaker is not None:
            target += self.away * (told - self.weaker(x, lam, *label))
        if label and self.weight > 1:
            rows = lam.squeeze(1) >= self.above
            target[rows] += (self.weight - 1) * (told[rows] - self.net(x[rows], lam[rows]))
        return target
