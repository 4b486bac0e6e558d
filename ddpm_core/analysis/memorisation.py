"""Memorisation: how many training points matter to a noisy point, and whether a model knows the points or their law."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.models.denoisers import Denoiser


def perplexity(mixture: GaussianMixture, x: Tensor, alpha: float, sigma: float) -> Tensor:
    """How many components x [n, D] may have come from: exp of the entropy of P(component | x); [n].

    K for equal weights in pure noise, 1 where one component explains x. For the mixture of the training points
    (EmpiricalDenoiser.mixture) it falls to 1 where the exact score stops describing the law and recites its training
    points: the collapse of Biroli et al. 2024.
    """
    noised = mixture.noised(alpha, sigma)
    parts = (torch.special.entr(noised.responsibilities(part)).sum(-1).exp() for part in x.split(1024))
    return torch.cat(list(parts))


class Position(NamedTuple):
    to_empirical: float  # mean squared difference of eps, per coordinate
    to_truth: float
    apart: float  # the same between the two
    position: float  # along the straight line from the truth (0) to the empirical score (1); nan where they agree


def score_position(
    denoiser: Denoiser, empirical: Denoiser, truth: Denoiser, x: Tensor, alpha: float, sigma: float
) -> Position:
    """Where a learned eps lies between the eps of the training points and that of their law, over points x [n, D].

    `position` is the foot of the perpendicular on the line that joins these two, averaged over x. `to_truth` and
    `to_empirical` show how far the model is from either; to_truth < to_empirical means that it generalises.
    """
    learned, known, exact = (model(x, alpha, sigma).eps for model in (denoiser, empirical, truth))
    to_empirical, to_truth, apart = (
        (a - b).square().mean().item() for a, b in ((learned, known), (learned, exact), (known, exact))
    )
    position = ((learned - exact) * (known - exact)).mean().item() / apart if apart > 0 else float("nan")
    return Position(to_empirical, to_truth, apart, position)
