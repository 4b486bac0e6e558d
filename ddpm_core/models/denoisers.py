"""Denoisers: whatever maps (x, alpha, sigma) to a Prediction. Truth and network share this one contract."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import Schedule

Denoiser = Callable[[Tensor, float, float], Prediction]
NoiseLevel = tuple[float, float]  # alpha, sigma
TARGETS = ("v", "eps", "x0")
PRECISIONS = ("float32", "bfloat16")


class MixtureDenoiser:
    """The exact denoiser of a mixture: no learning, no error."""

    def __init__(self, mixture: GaussianMixture):
        self.mixture = mixture

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
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


def half_log_snr(alpha: float, sigma: float) -> float:
    """lam = log(alpha / sigma), infinite at either end."""
    return math.log(alpha / sigma) if alpha > 0 and sigma > 0 else math.copysign(math.inf, alpha - sigma)


class NetworkDenoiser:
    """A network net(x / sqrt(alpha^2 + sigma^2), lam) that predicts v (default), eps or x0 of the scaled point.

    Being conditioned on lam = log(alpha / sigma) alone, it is right for every schedule and every path. What it says of
    one class, where the network knows classes, is `given_label`.
    """

    label: Tensor | None = None  # [] or [n]; None: of any class
    precision = PRECISIONS[0]  # of the network's products and convolutions; what it says has the type of x

    def __init__(self, net: Any, target: str = "v", metadata: dict | None = None):
        if target not in TARGETS:
            raise KeyError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
        self.net, self.target, self.metadata = net, target, metadata or {}
        self.levels: dict[NoiseLevel, Tensor] = {}  # what the network makes of a noise level, where known

    def given_label(self, label: Tensor | int | None) -> NetworkDenoiser:
        """The same network asked about one class, or of a class for each of the n points, [n]; None: any class.

        Labels are 0 .. classes - 1, and `classes` for any. KeyError for others, and if the network knows no classes.
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

    def in_precision(self, precision: str) -> NetworkDenoiser:
        """The same network in one of PRECISIONS; in bfloat16 its sums are still float32 (Kalamkar et al. 2019).

        KeyError for another, ValueError for a network of points: it is too small to gain anything.
        """
        if precision not in PRECISIONS:
            raise KeyError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
        if precision != PRECISIONS[0] and hasattr(self.net, "level"):
            raise ValueError(f"a {type(self.net).__name__} is computed in {PRECISIONS[0]} only")
        same = copy.copy(self)
        same.precision = precision
        return same

    def along(self, schedule: Schedule, between: Sequence[NoiseLevel] = ()) -> NetworkDenoiser:
        """The same denoiser, with what depends on the noise level alone computed for all steps of `schedule` at once,
        and for the levels `between` them at which a sampler of several stages asks.

        For networks that are net.at(x, net.level(lam)); any other is returned as it is. A denoiser that was prepared
        already learns what it lacks; others are left alone, as their network may still be in training.
        """
        pairs = [*zip(schedule.alpha.tolist(), schedule.sigma.tolist(), strict=True), *between]
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in self.levels]
        if not hasattr(self.net, "level") or not missing:
            return self
        lam = torch.tensor([half_log_snr(*pair) for pair in missing], dtype=torch.float64)
        with torch.no_grad():
            known = self.net.level(lam.to(next(self.net.parameters())))
        prepared = self if self.levels else copy.copy(self)
        prepared.levels = self.levels | dict(zip(missing, known, strict=True))
        return prepared

    def at_once(self, xs: Sequence[Tensor], levels: Sequence[NoiseLevel]) -> list[Prediction]:
        """What it says of every one of xs, each [n, ...], at its own level, by one pass through the network.

        For levels that it was prepared for, and networks whose `at` broadcasts over them.
        """
        scales = [math.hypot(*level) for level in levels]
        with torch.no_grad():
            known = torch.stack([self.levels[level] for level in levels])[:, None]
            outs = self.net.at(torch.stack([x / scale for x, scale in zip(xs, scales, strict=True)]), known)
        parts = zip(xs, levels, outs, scales, strict=True)
        return [self._prediction(x, *level, out, scale) for x, level, out, scale in parts]

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        scale, level = math.hypot(alpha, sigma), self.levels.get((alpha, sigma))
        if level is None:
            lam = torch.full((), half_log_snr(alpha, sigma), device=x.device, dtype=x.dtype)
            mixed = torch.autocast(x.device.type, torch.bfloat16) if self.precision == "bfloat16" else nullcontext()
            with torch.no_grad(), mixed:
                out = self.net(x / scale, lam, *(() if self.label is None else (self.label,))).to(x.dtype)
        else:  # in a walk, where no_grad takes a hundredth of a step, and networks that have learned keep no graph
            out = self.net.at(x if scale == 1 else x / scale, level)
            out = out.detach() if out.requires_grad else out
        return self._prediction(x, alpha, sigma, out, scale)

    def _prediction(self, x: Tensor, alpha: float, sigma: float, out: Tensor, scale: float) -> Prediction:
        """v scales with the point; eps and x0 do not."""
        scaled = self.target == "v" and scale != 1
        return Prediction(x, alpha, sigma, self.target, out * scale if scaled else out)


class Guided:
    """Exaggerates what a condition changes: unconditional + weight (conditional - unconditional), in every view.

    Weight 1 is the conditional denoiser, 0 the unconditional one, above 1 trades variety for typical samples (Ho &
    Salimans 2022, eq. 6, whose w is weight - 1). Two views of one network are asked in one pass over 2 n points.
    """

    def __init__(self, conditional: Denoiser, unconditional: Denoiser, weight: float):
        self.conditional, self.unconditional, self.weight = conditional, unconditional, weight
        self.evaluations = 1 if weight in (0, 1) else 2
        self.joint: Any = None  # a NetworkDenoiser that is told both labels, of the last n

    def along(self, schedule: Schedule, between: Sequence[NoiseLevel] = ()) -> Guided:
        told, untold = (along(part, schedule, between) for part in (self.conditional, self.unconditional))
        return Guided(told, untold, self.weight)

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        if self.weight == 1:
            return self.conditional(x, alpha, sigma)
        if self.weight == 0:
            return self.unconditional(x, alpha, sigma)
        told, untold = self._both(x, alpha, sigma)
        return Prediction(x, alpha, sigma, told.given, torch.lerp(untold.value, told.value, self.weight))

    def _both(self, x: Tensor, alpha: float, sigma: float) -> list[Prediction]:
        told, untold = self.conditional, self.unconditional
        if not (isinstance(told, NetworkDenoiser) and isinstance(untold, NetworkDenoiser) and told.net is untold.net):
            return [told(x, alpha, sigma), untold(x, alpha, sigma)]
        if self.joint is None or self.joint.label.shape != (2 * len(x),):
            labels = (torch.as_tensor(told.net.classes if d.label is None else d.label) for d in (told, untold))
            self.joint = told.given_label(torch.cat([label.expand(len(x)).to(x.device) for label in labels]))
        both = self.joint(torch.cat([x, x]), alpha, sigma)
        return [Prediction(x, alpha, sigma, both.given, part) for part in both.value.chunk(2)]


def guided(denoiser: NetworkDenoiser, label: Tensor | int | None, weight: float) -> Denoiser:
    """What a network says of `label`, [] or [n], guided away from what it says of any; None: of any, unguided."""
    return denoiser if label is None else Guided(denoiser.given_label(label), denoiser.given_label(None), weight)


def evaluations(denoiser: Denoiser) -> int:
    """How many network evaluations one question costs: two under guidance."""
    return getattr(denoiser, "evaluations", 1)


def along(denoiser: Denoiser, schedule: Schedule, between: Sequence[NoiseLevel] = ()) -> Denoiser:
    """`denoiser`, prepared for the steps of `schedule`, and the levels `between` them, where it can be."""
    return denoiser.along(schedule, between) if hasattr(denoiser, "along") else denoiser


def at_once(denoiser: Denoiser, xs: Sequence[Tensor], levels: Sequence[NoiseLevel]) -> list[Prediction]:
    """What `denoiser` says of each of xs [n, ...] at its own level; by one pass where it is a prepared network."""
    if isinstance(denoiser, NetworkDenoiser) and denoiser.levels.keys() >= set(levels):
        return denoiser.at_once(xs, levels)
    return [denoiser(x, *level) for x, level in zip(xs, levels, strict=True)]
