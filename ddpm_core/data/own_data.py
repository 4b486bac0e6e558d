"""Users' own data: any set of points as at most 512 equal Gaussians, and as a text short enough for a link.

The text is the whole data set: "own." followed by four base64url characters for each centre, two for x and two for y,
integers from 0 to 4095. The longer side of the centres' bounding box is 4095 steps, so nothing is clipped and one step
is at most 0.008 standard deviations. Position and size of the box are not kept, because data sets are standardised.
"""

from __future__ import annotations

import base64
import math
import re

import numpy as np
import torch

from ddpm_core.data.mixtures import GaussianMixture

MOST_POINTS = 1_000_000  # most points that are accepted, before thinning
MOST_CENTRES = 512
STEPS = 4095  # along the longer side of the box: 12 bits
BANDWIDTHS = (0.03, 0.3)  # smallest and largest, in standard deviations of the centres

PREFIX = "own."
TEXT = re.compile(rf"{re.escape(PREFIX)}(?:[A-Za-z0-9_-]{{4}}){{2,{MOST_CENTRES}}}")

ENGLISH = {
    "bad_data_columns": "The data must have two columns of numbers; got shape {got}",
    "bad_data_finite": "Every coordinate must be a finite number; row {row} has one that is not",
    "bad_data_one_place": "All points, or nearly all, are in one place; a shape needs at least two different places",
    "bad_data_rows": "The data must have at most {most} points",
    "bad_data_text": "Your own data in a link must be 'own.' followed by 4 characters for each of 2 to {most} points, "
    "from A-Z, a-z, 0-9, - and _; got {got}",
}


class OwnDataError(ValueError):
    """Data that cannot be used. str() is the English message; `key` and `values` give it in any language."""

    def __init__(self, key: str, english: str = "", **values):
        self.key, self.values = key, values
        super().__init__((english or ENGLISH[key]).format(**values))


def _thinned(points: np.ndarray) -> np.ndarray:
    """MOST_CENTRES of the points [N, 2] in the unit box, with the same density as all of them; deterministic.

    Cells are split at the median of the axis with the larger variance until there are MOST_CENTRES of them. All hold
    equally many points, which keeps the density. Each is represented by its point nearest to its mean, because the mean
    itself may lie in a gap of the shape.
    """
    cells = [points]
    while len(cells) < MOST_CENTRES:
        ordered = [cell[cell[:, cell.var(0).argmax()].argsort(kind="stable")] for cell in cells]
        cells = [half for cell in ordered for half in (cell[: len(cell) // 2], cell[len(cell) // 2 :])]
    # Rounded, because the two points of a pair are equally near and the last bit must not decide between them.
    return np.stack([cell[np.square(cell - cell.mean(0)).sum(1).round(12).argmin()] for cell in cells])


def _in_unit_box(points: np.ndarray) -> np.ndarray:
    """Points [N, 2] shifted and scaled so that their bounding box starts at 0 and its longer side is 1."""
    halves = points / 2  # the difference of two finite numbers can overflow, that of their halves cannot
    span = np.ptp(halves, axis=0).max()
    if not span > 0:
        raise OwnDataError("bad_data_one_place")
    return (halves - halves.min(0)) / span


def _along_principal_axis(grid: np.ndarray) -> np.ndarray:
    """Coordinate of the integers [K, 2] along the direction of largest variance, from left to right; [K].

    Integer moments are exact, so for a round cloud the direction is the x axis and not an effect of rounding.
    """
    x, y = (len(grid) * grid - grid.sum(0)).T
    angle = 0.5 * math.atan2(2 * (x @ y), x @ x - y @ y)
    return x * math.cos(angle) + y * math.sin(angle)


def encode(points, *, ordered: bool = False) -> str:
    """The text for points [N, 2] of any real numbers; the same points give the same text.

    More than MOST_CENTRES points are thinned. The centres are sorted along their principal axis, left to right, so that
    the index of a component can serve as its colour; with `ordered` the rows keep their order, as those of a drawing.
    OwnDataError if the shape is not [N, 2], a number is not finite, N exceeds MOST_POINTS, or fewer than two distinct
    points are left.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise OwnDataError("bad_data_columns", got=str(points.shape))
    if len(points) > MOST_POINTS:
        raise OwnDataError("bad_data_rows", most=MOST_POINTS)
    if not (finite := np.isfinite(points).all(1)).all():
        raise OwnDataError("bad_data_finite", row=int(finite.argmin()) + 1)
    if len(points) < 2:
        raise OwnDataError("bad_data_one_place")
    points = _in_unit_box(points)
    if len(points) > MOST_CENTRES:
        evenly = np.linspace(0, len(points) - 1, MOST_CENTRES).round().astype(int)
        points = points[evenly] if ordered else _thinned(points)
    grid = (_in_unit_box(points) * STEPS).round().astype(np.int64)  # [K, 2]
    if not ordered:
        grid = grid[_along_principal_axis(grid).argsort(kind="stable")]
    packed = (grid[:, 0] << 12 | grid[:, 1]).astype(">u4")  # 24 of 32 bits
    return PREFIX + base64.urlsafe_b64encode(packed.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()).decode()


def decode(text: str) -> GaussianMixture:
    """The mixture for a text: K equal, isotropic Gaussians, standardised; bit for bit a function of the text.

    Their bandwidth is the median distance from a distinct centre to its nearest neighbour, clamped to BANDWIDTHS.
    OwnDataError for any other text, and if all centres coincide.
    """
    longest = len(PREFIX) + 4 * MOST_CENTRES
    if len(text) > longest or not TEXT.fullmatch(text):
        raise OwnDataError("bad_data_text", most=MOST_CENTRES, got=repr(text[:40]))
    high, middle, low = (
        np.frombuffer(base64.urlsafe_b64decode(text[len(PREFIX) :]), np.uint8).astype(int).reshape(-1, 3).T
    )
    centres = torch.as_tensor(np.stack([high << 4 | middle >> 4, (middle & 15) << 8 | low], -1), dtype=torch.float64)
    distinct = centres.unique(dim=0)
    if len(distinct) < 2:
        raise OwnDataError("bad_data_one_place")
    gaps = torch.cdist(distinct, distinct, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf)
    deviation = centres.var(0, correction=0).mean().sqrt().item()
    low_bandwidth, high_bandwidth = (deviation * b for b in BANDWIDTHS)
    bandwidth = gaps.amin(1).median().clamp(low_bandwidth, high_bandwidth)
    return GaussianMixture(1.0, centres, bandwidth.square()).standardised()
