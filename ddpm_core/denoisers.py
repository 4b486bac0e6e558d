"""Denoisers: whatever maps (x, alpha, sigma) to a Prediction. Truth and network share this one contract."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .mixtures import GaussianMixture
from .prediction import Prediction

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


class NetworkDenoiser:
    """A network net(x / sqrt(alpha^2 + sigma^2), lam) that predicts v (default), eps or x0 of the scaled point.

    Being conditioned on lam = log(alpha / sigma) alone, it is right for every schedule and every path.
    """

    def __init__(self, net: nn.Module, target: str = "v", metadata: dict | None = None):
        if target not in TARGETS:
            raise KeyError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
        self.net, self.target, self.metadata = net, target, metadata or {}

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        scale = math.hypot(alpha, sigma)
        lam = math.log(alpha / sigma) if alpha > 0 and sigma > 0 else math.copysign(math.inf, alpha - sigma)
        with torch.no_grad():
            out = self.net(x / scale, torch.full((), lam, device=x.device, dtype=x.dtype))
        # v scales with the point; eps and x0 do not
        return Prediction.of(x, alpha, sigma, **{self.target: out * scale if self.target == "v" else out})
