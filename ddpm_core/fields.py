"""Fields over the plane: where to ask a denoiser, and what changing from one view of its answer to another costs."""

from __future__ import annotations

import torch
from torch import Tensor

from .prediction import Prediction


def grid(view: float, side: int) -> Tensor:
    """Centres of the side x side pixels that tile the square [-view, view]^2; [side^2, 2] float64.

    Row by row from the bottom, x first, as heat maps want it: values.view(side, side)[i, j] is at (x_j, y_i).
    """
    centres = view * ((2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1)
    return torch.cartesian_prod(centres, centres).flip(1)


def conversion_residual(prediction: Prediction) -> float:
    """Largest change of eps, over points and coordinates, on its way eps -> x0 -> v -> score -> eps.

    Zero but for round-off. ValueError at alpha = 0 and at sigma = 0, where one of the views is undefined.
    """
    there = prediction
    for view in ("eps", "x0", "v", "score"):
        there = Prediction.of(prediction.x, prediction.alpha, prediction.sigma, **{view: getattr(there, view)})
    return (there.eps - prediction.eps).abs().max().item()
