"""Fields over the plane: pixels to ask a denoiser at, the rounding error of its views, and the drifts of a cloud."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.models.prediction import Prediction


def pixel_centres(view: float, side: int) -> Tensor:
    """Centres of the side x side pixels that tile the square [-view, view]^2; [side^2, 2] float64.

    Row by row from the bottom, x first, as heat maps want it: values.view(side, side)[i, j] is at (x_j, y_i).
    """
    centres = view * ((2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1)
    return torch.cartesian_prod(centres, centres).flip(1)


def conversion_residual(prediction: Prediction) -> float:
    """Largest change of eps, over points and coordinates, after the conversions eps -> x0 -> v -> score -> eps.

    Zero up to rounding. ValueError at alpha = 0 and at sigma = 0, where one of the views is undefined.
    """
    there = prediction
    for view in ("eps", "x0", "v", "score"):
        there = Prediction.of(prediction.x, prediction.alpha, prediction.sigma, **{view: getattr(there, view)})
    return (there.eps - prediction.eps).abs().max().item()


class DriftFields(NamedTuple):
    """Velocities [n, 2] at which a cloud p of ink moves at x [n, 2], per step of noise variance beta."""

    drift: Tensor  # -beta x / 2: the pull of the factor sqrt(1 - beta) toward the origin
    diffusion: Tensor  # -beta grad log p / 2: Fick's law, from dense to thin
    current: Tensor  # their sum: dp/dt = -div(p current), the probability flow (Song et al. 2021, eq. 13)
    unmixing: Tensor  # beta x / 2 + beta grad log p: the drift of the way back in time (Anderson 1982)


def drift_fields(prediction: Prediction, beta: float) -> DriftFields:
    """The four velocities at prediction.x, in variance-preserving coordinates. ValueError at sigma = 0."""
    drift, diffusion = -beta / 2 * prediction.x, -beta / 2 * prediction.score
    return DriftFields(drift, diffusion, drift + diffusion, -drift - 2 * diffusion)
