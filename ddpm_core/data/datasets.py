"""The toy data sets. Each is an explicit Gaussian mixture: a curve is a row of small Gaussians, an area a grid of them.

The components are ordered along the shape (along the roll, around the ring), so that the index of a component can serve
as its colour. Labels mark the parts of a shape that a person would name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture


def _polar(radius: Tensor, angle: Tensor) -> Tensor:  # [K], [K] -> [K, 2]
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1)


def _string(curve: Callable[[Tensor], Tensor], start: float, stop: float, K: int) -> Tensor:  # [K, 2]
    """K points on curve(t), [n] -> [n, 2], for start <= t <= stop, spaced equally in arc length.

    The first and the last point lie half a spacing inside the ends, so that a closed curve has no double point.
    """
    t = torch.linspace(start, stop, 16 * K + 1, dtype=torch.float64)
    travelled = curve(t).diff(dim=0).norm(dim=1).cumsum(0)  # [16 K]
    beads = (torch.arange(K) + 0.5) / K * travelled[-1]
    return curve(torch.from_numpy(np.interp(beads, travelled, t[1:])))


def _cell_centres(rows: int, columns: int) -> Tensor:  # [rows * columns, 2], row by row
    """The centres of rows x columns cells that tile the unit square."""
    return torch.cartesian_prod(*[(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (rows, columns)])


def _turned(part: Tensor, copies: int) -> Tensor:  # [K, 2] -> [copies * K, 2], copy by copy
    """`part` and its rotations about the origin, anticlockwise, evenly over one full turn."""
    angle = torch.arange(copies, dtype=torch.float64) * (2 * torch.pi / copies)
    rotations = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    return (part @ rotations).flatten(0, 1)


def _ring(radius: float, K: int) -> Tensor:  # [K, 2]
    return _turned(torch.tensor([[radius, 0.0]], dtype=torch.float64), K)


def swiss_roll(K: int = 512, bandwidth: float = 0.5) -> GaussianMixture:
    """The spiral r = angle = 1.5 pi (1 + 2u), u in [0, 1], in scikit-learn's units (bandwidth = its `noise`)."""
    angle = 1.5 * torch.pi * (1 + 2 * torch.linspace(0, 1, K, dtype=torch.float64))
    return GaussianMixture(1.0, _polar(angle, angle), bandwidth**2, labels=[0] * K).standardised()


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
    return GaussianMixture(1.0, _ring(radius, 8), bandwidth**2).standardised()


def twenty_five_gaussians(side: int = 5, bandwidth: float = 0.15) -> GaussianMixture:
    """A side x side grid of equal blobs, one unit apart."""
    return GaussianMixture(1.0, side * _cell_centres(side, side), bandwidth**2).standardised()


def checkerboard(cells: int = 4, beads: int = 6) -> GaussianMixture:
    """The dark cells of a cells x cells board, each filled with beads x beads Gaussians, half a spacing wide."""
    corners = torch.tensor(
        [(i, j) for i in range(cells) for j in range(cells) if (i + j) % 2 == 0], dtype=torch.float64
    )
    means = (corners[:, None] + _cell_centres(beads, beads)).flatten(0, 1)
    labels = torch.arange(len(corners)).repeat_interleave(beads**2)
    return GaussianMixture(1.0, means, (0.5 / beads) ** 2, labels).standardised()


def pinwheel(arms: int = 5, beads: int = 40, bandwidth: float = 0.1) -> GaussianMixture:
    """Curved arms: each is the piece 0.4 <= r <= 2.4 of the spiral angle = r and has its own label."""
    arm = _string(lambda r: _polar(r, r), 0.4, 2.4, beads)
    labels = torch.arange(arms).repeat_interleave(beads)
    return GaussianMixture(1.0, _turned(arm, arms), bandwidth**2, labels).standardised()


def two_spirals(beads: int = 192, bandwidth: float = 0.3) -> GaussianMixture:
    """The spiral r = angle, pi/2 <= angle <= 3 pi, and the same spiral rotated by half a turn; labels 0 and 1."""
    arm = _string(lambda r: _polar(r, r), torch.pi / 2, 3 * torch.pi, beads)
    labels = torch.arange(2).repeat_interleave(beads)
    return GaussianMixture(1.0, _turned(arm, 2), bandwidth**2, labels).standardised()


def concentric_rings(rings: int = 3, beads: int = 64, bandwidth: float = 0.1) -> GaussianMixture:
    """Circles of radius 1, 2, ..., labelled from the inside; the weight of each is proportional to its length."""
    radii = range(1, rings + 1)
    labels = torch.arange(rings).repeat_interleave(beads * torch.tensor(radii))
    means = torch.cat([_ring(radius, radius * beads) for radius in radii])
    return GaussianMixture(1.0, means, bandwidth**2, labels).standardised()


def s_curve(K: int = 128, bandwidth: float = 0.1) -> GaussianMixture:
    """The letter S from its upper end: scikit-learn's `make_s_curve` without its depth (bandwidth = its `noise`)."""

    def letter(t: Tensor) -> Tensor:
        return torch.stack([t.sin(), t.sign() * (t.cos() - 1)], -1)

    means = _string(letter, -1.5 * torch.pi, 1.5 * torch.pi, K)
    return GaussianMixture(1.0, means, bandwidth**2, labels=[0] * K).standardised()


def heart(K: int = 192, bandwidth: float = 0.8) -> GaussianMixture:
    """The outline of a heart, clockwise from its notch (MathWorld, "Heart Curve", the one with 16 sin^3 t)."""

    def outline(t: Tensor) -> Tensor:
        y = 13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()
        return torch.stack([16 * t.sin() ** 3, y], -1)

    return GaussianMixture(1.0, _string(outline, 0.0, 2 * torch.pi, K), bandwidth**2, labels=[0] * K).standardised()


def ink_drop(K: int = 161, ink: float = 0.6) -> GaussianMixture:
    """A drop of ink (one dense blob, label 0) near the wall of a round glass (a faint thin ring, label 1).

    Standardised data have mean zero and unit variance, so a single blob could be neither small nor off centre. The
    glass, which has the remaining weight 1 - ink, makes both possible.
    """
    drop, glass = torch.tensor([[0.42, 0.56]], dtype=torch.float64), _ring(1.0, K - 1)  # 0.7 of the way to the wall
    labels = torch.tensor([0] + [1] * (K - 1))
    weights, bandwidths = (torch.tensor(p)[labels] for p in ([ink, (1 - ink) / (K - 1)], [0.08, 0.04]))
    return GaussianMixture(weights, torch.cat([drop, glass]), bandwidths**2, labels).standardised()


def cola_sprite_fanta(rows: int = 16, columns: int = 8, shared: float = 0.3) -> GaussianMixture:
    """Three bottles, labels 0, 1, 2, that pour into one puddle: regions of one class each, and a region all share.

    A class is its bottle, filled with rows x columns Gaussians from the bottom to the mouth, then the puddle, one blob
    of weight `shared`. The three puddles coincide, so a point in the puddle carries no information about its class.
    """
    height, across = _cell_centres(rows, columns).unbind(-1)  # both in [0, 1]
    width = 0.35 + 0.75 * torch.sigmoid(25 * (0.65 - height))  # a body 1.1 wide, shoulders, a neck 0.35 wide
    bottle = torch.stack([width * (across - 0.5), 2.9 - 2.2 * height], -1)  # upside down, its mouth towards the origin
    weights = torch.cat([(1 - shared) * width / width.sum(), torch.tensor([shared])])  # uniform density in the bottle
    bandwidths = torch.tensor([0.08] * len(bottle) + [0.25])
    means = _turned(torch.cat([bottle, torch.zeros(1, 2)]), 3)  # rotation leaves a puddle at the origin where it is
    labels = torch.arange(3).repeat_interleave(len(weights))
    return GaussianMixture(weights.repeat(3), means, bandwidths.repeat(3) ** 2, labels).standardised()


DATASETS: dict[str, Callable[[], GaussianMixture]] = {
    make.__name__: make
    for make in (
        swiss_roll,
        two_moons,
        eight_gaussians,
        twenty_five_gaussians,
        checkerboard,
        pinwheel,
        two_spirals,
        concentric_rings,
        s_curve,
        heart,
        ink_drop,
        cola_sprite_fanta,
    )
}
