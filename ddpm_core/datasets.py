"""The toy data sets, each an explicit Gaussian mixture: curves are strings of beads, areas are grids of them.

The order of the components follows the shape (along the roll, round the ring), so a component's index is the colour
that lets the eye follow a neighbourhood through time; labels mark what a person would call a part.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mixtures import GaussianMixture


def _polar(radius: Tensor, angle: Tensor) -> Tensor:  # [K], [K] -> [K, 2]
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1)


def swiss_roll(K: int = 512, bandwidth: float = 0.5) -> GaussianMixture:
    """The spiral r = angle = 1.5 pi (1 + 2u), u in [0, 1], in scikit-learn's units (bandwidth = its `noise`)."""
    angle = 1.5 * torch.pi * (1 + 2 * torch.linspace(0, 1, K, dtype=torch.float64))
    return GaussianMixture(1.0, _polar(angle, angle), bandwidth**2).standardised()


def two_moons(K: int = 256, bandwidth: float = 0.1) -> GaussianMixture:
    """Two interleaved half circles of radius one, labels 0 (upper) and 1 (lower)."""
    first = K // 2
    angle = torch.cat([torch.linspace(0, torch.pi, k, dtype=torch.float64) for k in (first, K - first)])
    upper, lower = _polar(torch.ones_like(angle), angle).split([first, K - first])
    lower = torch.tensor([1.0, 0.5]) - lower
    labels = (torch.arange(K) >= first).long()
    return GaussianMixture(1.0, torch.cat([upper, lower]), bandwidth**2, labels).standardised()


def eight_gaussians(radius: float = 4.0, bandwidth: float = 0.5) -> GaussianMixture:
    """Eight equal blobs on a circle."""
    angle = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    return GaussianMixture(1.0, _polar(torch.full_like(angle, radius), angle), bandwidth**2).standardised()


def checkerboard(cells: int = 4, beads: int = 6) -> GaussianMixture:
    """The dark cells of a cells x cells board, each filled with beads x beads Gaussians half a spacing wide."""
    spacing = 1 / beads
    inside = (torch.arange(beads, dtype=torch.float64) + 0.5) * spacing
    bead = torch.cartesian_prod(inside, inside)  # [beads^2, 2]
    corners = torch.tensor(
        [(i, j) for i in range(cells) for j in range(cells) if (i + j) % 2 == 0], dtype=torch.float64
    )
    means = (corners[:, None] + bead).flatten(0, 1)
    labels = torch.arange(len(corners)).repeat_interleave(beads**2)
    return GaussianMixture(1.0, means, (spacing / 2) ** 2, labels).standardised()


DATASETS: dict[str, Callable[[], GaussianMixture]] = {
    "swiss_roll": swiss_roll,
    "two_moons": two_moons,
    "eight_gaussians": eight_gaussians,
    "checkerboard": checkerboard,
}
