"""A walk from noise to data, as every judge gets it: levels, noise and exact answers, all made without the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audit.law import Array, Law, torch_of
from ddpm_core import SAMPLERS, SCHEDULES, MixtureDenoiser, Schedule

KARRAS, FLOW, COSINE, LINEAR = 18, 20, 20, range(0, 1001, 50)  # numbers of steps; the levels kept of 1,000
FULL = SCHEDULES["linear"](1000)
PATHS: dict[str, Schedule] = {
    "karras": SCHEDULES["karras"](KARRAS),
    "flow": SCHEDULES["flow"](FLOW),
    "cosine": SCHEDULES["cosine"](COSINE),
    "linear": FULL.keep(torch_of(np.array([0, 1, *LINEAR[1:]]))),
}


def karras() -> tuple[Array, Array]:
    """Karras et al. 2022, eq. 5."""
    roots = np.linspace(0.002 ** (1 / 7), 80 ** (1 / 7), KARRAS)
    return np.ones(KARRAS + 1), np.append(0.0, roots**7)


def flow() -> tuple[Array, Array]:
    """Lipman et al. 2023: the straight path."""
    return np.arange(FLOW, -1, -1) / FLOW, np.arange(FLOW + 1) / FLOW


def cosine() -> tuple[Array, Array]:
    """Nichol & Dhariwal 2021, eq. 17."""
    angle = (np.arange(COSINE + 1) / COSINE + 0.008) / 1.008 * np.pi / 2
    kept = np.maximum(np.cos(angle[1:]) ** 2 / np.cos(angle[:-1]) ** 2, 0.001)
    alpha_bar = np.append(1.0, np.cumprod(kept))
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


def linear() -> tuple[Array, Array]:
    """Ho et al. 2020, section 4; level 1 besides every fiftieth."""
    alpha_bar = np.append(1.0, np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))[[0, 1, *LINEAR[1:]]]
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


LEVELS = {"karras": karras, "flow": flow, "cosine": cosine, "linear": linear}


@dataclass(frozen=True, eq=False)
class Walk:
    """x_t = alpha_t x0 + sigma_t eps for t = 0 .. T, from `start` [n, D], with fresh noise z[t] for the step from t."""

    law: Law
    alpha: Array  # [T + 1]
    sigma: Array
    z: Array  # [T + 1, n, D]; that of t = 0 makes the start
    path: str = ""

    @classmethod
    def on(cls, path: str, law: Law, rng: np.random.Generator, n: int) -> Walk:
        alpha, sigma = LEVELS[path]()
        return cls(law, alpha, sigma, rng.standard_normal((len(alpha), n, 2)), path)

    @property
    def T(self) -> int:
        return len(self.alpha) - 1

    @property
    def start(self) -> Array:
        return np.hypot(self.alpha[-1], self.sigma[-1]) * self.z[0]

    @property
    def downward(self) -> range:
        return range(self.T, 0, -1)

    @property
    def rho(self) -> Array:
        return self.sigma / self.alpha

    @property
    def lam(self) -> Array:
        """+inf at data."""
        with np.errstate(divide="ignore"):
            return np.log(self.alpha) - np.log(self.sigma)

    def x0(self, x: Array, t: int) -> Array:
        return self.law.posterior(x, self.alpha[t], self.sigma[t])[0]

    def eps(self, x: Array, t: int) -> Array:
        return (x - self.alpha[t] * self.x0(x, t)) / self.sigma[t]

    def slope(self, y: Array, rho: float) -> Array:
        """eps of y = x / alpha at rho = sigma / alpha: dy / d rho."""
        return (y - self.law.posterior(y, 1.0, rho)[0]) / rho

    @cached_property
    def schedule(self) -> Schedule:
        """The lab's own levels of this path, which should be the same."""
        return PATHS[self.path] if self.path else Schedule(torch_of(self.alpha), torch_of(self.sigma))

    def steps(self, name: str, options: Mapping, sampler: Callable | None = None) -> Iterator[tuple[int, Array]]:
        """Where the lab's sampler is at each t, from T to 0, by its own levels and its own exact denoiser."""
        noise = lambda t: torch_of(self.z[t])  # noqa: E731
        walk = (sampler or SAMPLERS[name])(
            MixtureDenoiser(self.law.ours), self.schedule, torch_of(self.start), noise=noise, **options
        )
        return ((step.t, step.x.numpy()) for step in walk)

    def ours(self, name: str, options: Mapping, sampler: Callable | None = None) -> Array:
        """Where it ends."""
        *_, (_, x) = self.steps(name, options, sampler)
        return x
