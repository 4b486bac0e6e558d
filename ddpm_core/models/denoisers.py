"""Denoisers: whatever maps (x, alpha, sigma) to a Prediction. Truth and network share this one contract."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import half_log_snr

Denoiser = Callable[[Tensor, float, float], Prediction]
TARGETS = ("v", "eps", "x0")


def evaluations(denoiser: Denoiser) -> int:
    """How many network evaluations one call costs: two under guidance."""
    return getattr(denoiser, "evaluations", 1)


class MixtureDenoiser:
    """The exact denoiser of a mixture: no learning, no error."""

    def __init__(self, mixture: GaussianMixture):
        self.mixture = mixture

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        if sigma < alpha:  # near data x - alpha x0-hat would be the small difference of large numbers
            return Prediction.of(x, alpha, sigma, score=self.mixture.noised(alpha, sigma).score(x))
        return Prediction.of(x, alpha, sigma, x0=self.mixture.denoise(x, alpha, sigma))

    def posterior_variance(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Var(x0 | x), the mean over coordinates, for x [n, D]; [n]: how far x0-hat may be from the truth."""
        return self.mixture.posterior_variance(x, alpha, sigma)


class EmpiricalDenoiser(MixtureDenoiser):
    """The exact denoiser of a finite set of points [N, D]: a perfect model of the training set, which it memorises.

    Its posterior mean is a softmax over the points (Karras et al. 2022, eq. 57).
    """

    def __init__(self, points: Tensor):
        super().__init__(GaussianMixture(1.0, points, 0.0))


class NetworkDenoiser:
    """A learned denoiser: a network that predicts v, eps or x0 of the point in variance-preserving coordinates,

        net(x / scale, lam),    scale = sqrt(alpha^2 + sigma^2),    lam = log(alpha / sigma).

    It is conditioned on lam alone, so it is right for every schedule and every path. v scales with the point,
    v(x) = scale net(x / scale, lam); eps and x0 do not.
    """

    label: Tensor | None = None  # [] or [n]: the class that x belongs to; None: any class

    def __init__(self, net: Any, target: str = "v", metadata: dict | None = None):
        if target not in TARGETS:
            raise KeyError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
        self.net, self.target, self.metadata = net, target, metadata or {}

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        scale = math.hypot(alpha, sigma)
        lam = torch.full((), half_log_snr(alpha, sigma), device=x.device, dtype=x.dtype)
        with torch.set_grad_enabled(x.requires_grad):  # sampling builds no graph, whoever needs the slope in x does
            out = self.net(x / scale, lam) if self.label is None else self.net(x / scale, lam, self.label)
        return Prediction.of(x, alpha, sigma, **{self.target: out * scale if self.target == "v" else out})

    def given_label(self, label: Tensor | int | None) -> NetworkDenoiser:
        """The same network, told that x belongs to a class, or one class for each of n points, [n]; None: any class.

        Labels are 0 .. classes - 1, and `classes` means any. KeyError for others, and if the network knows no classes.
        """
        given = copy.copy(self)
        given.label = None if label is None else torch.as_tensor(label)
        if given.label is not None:
            if not (classes := getattr(self.net, "classes", 0)):
                raise KeyError("this network knows no labels")
            if not ((given.label >= 0) & (given.label <= classes)).all():
                raise KeyError(f"unknown label {label}; known: 0 .. {classes}")
            given.label = given.label.to(next(self.net.parameters()).device)
        return given
