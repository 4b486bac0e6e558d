"""One prediction, five views: the only place where eps, x0, v, score and velocity are converted into one another.

Given a noisy point x = alpha x0 + sigma eps, knowing any one of

    x0                                      the clean point
    eps   = (x - alpha x0) / sigma          the noise                    (Ho et al. 2020)
    score = -eps / sigma                    grad log p_t(x)              (Vincent 2011)
    v     = alpha eps - sigma x0            a quarter turn from x        (Salimans & Ho 2022)

is knowing them all. v alone is well defined at both ends of every path: (x, v) is (x0, eps) turned by the angle
atan2(sigma, alpha) and stretched by sqrt(alpha^2 + sigma^2), so turning it back never divides by alpha or sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

Level = float | Tensor  # one noise level for all rows, or one for each: broadcastable to x


def _nonzero(level: Level, name: str, view: str) -> Level:
    if not isinstance(level, Tensor) and level == 0:
        raise ValueError(f"{view} is undefined at {name} = 0")
    return level


@dataclass(frozen=True, eq=False)
class Prediction:
    """A denoiser's answer at x [n, ...] and the noise level (alpha, sigma). `Prediction.of` checks the view."""

    x: Tensor
    alpha: Level
    sigma: Level
    given: str  # the view that is known: x0, eps, v or score
    value: Tensor  # that view, shaped like x

    @classmethod
    def of(cls, x: Tensor, alpha: Level, sigma: Level, **view: Tensor) -> Prediction:
        """From exactly one of x0, eps, v, score, each shaped like x. TypeError for anything else."""
        if len(view) != 1 or not view.keys() <= {"x0", "eps", "v", "score"}:
            raise TypeError(f"give exactly one of x0, eps, v, score; got {sorted(view) or 'none'}")
        ((name, value),) = view.items()
        return cls(x, alpha, sigma, name, value)

    def blend(self, of_x: Level, of_x0: Level) -> Tensor:
        """of_x x + of_x0 x0, a new tensor: what samplers' steps are made of. Affine in the view that is known, since

            x0 = (alpha x - sigma v) / (alpha^2 + sigma^2) = (x - sigma eps) / alpha = (x + sigma^2 score) / alpha.

        So there are two passes over x, whichever view it is. ValueError at alpha = 0 if only eps or score is known.
        """
        a, s = self.alpha, self.sigma
        if self.given == "x0":
            of_value = of_x0
        elif self.given == "v":
            of_x, of_value = of_x + of_x0 * a / (a * a + s * s), -of_x0 * s / (a * a + s * s)
        elif self.given == "eps":
            share = of_x0 / _nonzero(a, "alpha", "x0 from eps")
            of_x, of_value = of_x + share, share * -s
        else:
            share = of_x0 / _nonzero(a, "alpha", "x0 from score")
            of_x, of_value = of_x + share, share * (s * s)
        x = of_x * self.x
        return x + of_value * self.value if isinstance(of_value, Tensor) else x.add_(self.value, alpha=of_value)

    @cached_property
    def x0(self) -> Tensor:
        """The clean point expected. ValueError at alpha = 0 when only eps or score is known."""
        return self.value if self.given == "x0" else self.blend(0, 1)

    @cached_property
    def eps(self) -> Tensor:
        """The noise expected. ValueError at sigma = 0 when only x0 is known."""
        a, s = self.alpha, self.sigma
        if self.given == "eps":
            return self.value
        if self.given == "v":
            return s / (a * a + s * s) * self.x + a / (a * a + s * s) * self.value
        if self.given == "score":
            return -s * self.value
        return (self.x - a * self.value) / _nonzero(s, "sigma", "eps from x0")

    @property
    def score(self) -> Tensor:
        """grad log p_t at x. ValueError at sigma = 0 unless given."""
        return self.value if self.given == "score" else -self.eps / _nonzero(self.sigma, "sigma", "score")

    @property
    def v(self) -> Tensor:
        """alpha eps - sigma x0."""
        return self.value if self.given == "v" else self.alpha * self.eps - self.sigma * self.x0

    def velocity(self, d_alpha: Level, d_sigma: Level) -> Tensor:
        """dx/dt = alpha' x0 + sigma' eps along a path with these slopes (Lipman et al. 2023, example II)."""
        return d_alpha * self.x0 + d_sigma * self.eps
