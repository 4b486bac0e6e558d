"""Denoisers: whatever maps (x, alpha, sigma) to a Prediction. Truth and network share this one contract."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .mixtures import GaussianMixture
from .prediction import Prediction
from .schedules import Schedule

Denoiser = Callable[[Tensor, float, float], Prediction]
TARGETS = ("v", "eps", "x0")


class MixtureDenoiser:
    """The exact denoiser of a mixture: no learning, no error."""

    def __init__(self, mixture: GaussianMixture):
        self.mixture = mixture

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        return Prediction.of(x, alpha, sigma, x0=self.mixture.denoise(x, alpha, sigma))


class EmpiricalDenoiser(MixtureDenoiser):
    """The exact denoiser of a finite set of points [N, D]: a perfect model of the training set, which it memorises.

    Its posterior mean is a softmax over the points (Karras et al. 2022, eq. 57).
    """

    def __init__(self, points: Tensor):
        super().__init__(GaussianMixture(1.0, points, 0.0))


def half_log_snr(alpha: float, sigma: float) -> float:
    """lam = log(alpha / sigma), infinite at either end."""
    return math.log(alpha / sigma) if alpha > 0 and sigma > 0 else math.copysign(math.inf, alpha - sigma)


class NetworkDenoiser:
    """A network net(x / sqrt(alpha^2 + sigma^2), lam) that predicts v (default), eps or x0 of the scaled point.

    Being conditioned on lam = log(alpha / sigma) alone, it is right for every schedule and every path.
    """

    def __init__(self, net: Any, target: str = "v", metadata: dict | None = None):
        if target not in TARGETS:
            raise KeyError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
        self.net, self.target, self.metadata = net, target, metadata or {}
        self.levels: dict[tuple[float, float], Tensor] = {}  # what the network makes of a noise level, where known

    def along(self, schedule: Schedule) -> NetworkDenoiser:
        """The same denoiser, with what depends on the noise level alone computed for all steps of `schedule` at once.

        For networks that are net.at(x, net.level(lam)); any other is returned as it is.
        """
        pairs = list(zip(schedule.alpha.tolist(), schedule.sigma.tolist(), strict=True))
        if not hasattr(self.net, "level") or self.levels.keys() >= set(pairs):
            return self
        lam = torch.tensor([half_log_snr(*pair) for pair in pairs], dtype=torch.float64)
        prepared = copy.copy(self)
        with torch.no_grad():
            levels = self.net.level(lam.to(next(self.net.parameters())))
        prepared.levels = dict(zip(pairs, levels, strict=True))
        return prepared

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        scale, level = math.hypot(alpha, sigma), self.levels.get((alpha, sigma))
        with torch.no_grad():
            if level is None:
                lam = torch.full((), half_log_snr(alpha, sigma), device=x.device, dtype=x.dtype)
                out = self.net(x / scale, lam)
            else:
                out = self.net.at(x / scale, level)
        # v scales with the point; eps and x0 do not
        return Prediction.of(x, alpha, sigma, **{self.target: out * scale if self.target == "v" else out})


def along(denoiser: Denoiser, schedule: Schedule) -> Denoiser:
    """`denoiser`, prepared for the steps of `schedule` where it can be."""
    return denoiser.along(schedule) if isinstance(denoiser, NetworkDenoiser) else denoiser
