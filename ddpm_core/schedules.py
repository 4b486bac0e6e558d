"""A schedule is a sequence of pairs (alpha_t, sigma_t), t = 0 (data) .. T (noise), with x_t = alpha_t x0 + sigma_t eps.

Everything that the literature calls a beta schedule, a cosine schedule, a sigma schedule or a flow-matching path is
such a sequence. Names follow the field: alpha_bar = alpha^2 when alpha^2 + sigma^2 = 1 (variance preserving).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

NoiseLevel = tuple[float, float]  # alpha, sigma
SPACINGS = ("trailing", "leading", "linspace", "uniform_lam", "karras")


def half_log_snr(alpha: float, sigma: float) -> float:
    """lam = log(alpha / sigma), infinite at either end."""
    return math.log(alpha / sigma) if alpha > 0 and sigma > 0 else math.copysign(math.inf, alpha - sigma)


def amplitudes(lam: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) of variance-preserving noise at half-log-SNR lam: alpha^2 = 1 / (1 + exp(-2 lam))."""
    return torch.sigmoid(2 * lam).sqrt(), torch.sigmoid(-2 * lam).sqrt()


def levels_at(lam: Tensor) -> list[NoiseLevel]:
    """(alpha, sigma) of each of lam [L], as denoisers take them."""
    alpha, sigma = amplitudes(lam)
    return list(zip(alpha.tolist(), sigma.tolist(), strict=True))


class Path(NamedTuple):
    """The curve that the levels of a schedule lie on: when it is there, and its slope. Each [T + 1] float64."""

    time: Tensor
    d_alpha: Tensor  # d alpha / d time
    d_sigma: Tensor

    @classmethod
    def through(cls, alpha: Tensor, sigma: Tensor) -> Path:
        """A level a unit of time, slopes by central differences: exact for affine paths."""
        order = min(len(alpha) - 1, 2)
        (d_alpha,), (d_sigma,) = (torch.gradient(curve, edge_order=order) for curve in (alpha, sigma))
        return cls(torch.arange(len(alpha), dtype=torch.float64), d_alpha, d_sigma)


@dataclass(frozen=True, eq=False)
class Schedule:
    """alpha, sigma: [T + 1] float64, starting at data: alpha[0] == 1, sigma[0] == 0; SNR strictly decreasing.

    Raises ValueError when the two do not describe such a path.
    """

    alpha: Tensor  # [T + 1]
    sigma: Tensor  # [T + 1]
    curve: Path | None = None  # where the family knows it

    def __post_init__(self):
        a, s = self.alpha, self.sigma
        if a.ndim != 1 or a.shape != s.shape or len(a) < 2 or a.dtype != torch.float64 or s.dtype != torch.float64:
            raise ValueError("alpha and sigma must be float64 vectors of the same length, at least 2")
        if not (torch.isfinite(a).all() and torch.isfinite(s).all() and a[0] == 1 and s[0] == 0 and (a >= 0).all()):
            raise ValueError("a schedule is finite, starts at (alpha, sigma) = (1, 0) and keeps alpha >= 0")
        if not (a[1:] * s[:-1] < a[:-1] * s[1:]).all():
            raise ValueError("the signal-to-noise ratio must fall at every step")

    @property
    def T(self) -> int:
        return len(self.alpha) - 1

    @cached_property
    def path(self) -> Path:
        """The curve that the levels lie on; if nobody knows it, one through them."""
        return self.curve or Path.through(self.alpha, self.sigma)

    @cached_property
    def levels(self) -> list[NoiseLevel]:
        """(alpha_t, sigma_t) for t = 0..T, as denoisers take them."""
        return list(zip(self.alpha.tolist(), self.sigma.tolist(), strict=True))

    @cached_property
    def scale(self) -> Tensor:
        """sqrt(alpha^2 + sigma^2) [T + 1]: x / scale is the same point in variance-preserving coordinates."""
        return torch.hypot(self.alpha, self.sigma)

    @cached_property
    def alpha_bar(self) -> Tensor:
        """[T + 1]: share of the signal in the variance, alpha^2 / (alpha^2 + sigma^2)."""
        return (self.alpha / self.scale) ** 2

    @cached_property
    def betas(self) -> Tensor:
        """[T]: beta_t for t = 1..T at index t - 1; 1 - alpha_bar_t / alpha_bar_{t-1} (Ho et al. 2020, section 2)."""
        signal = self.alpha / self.scale  # ratios of these, not of their squares, which may underflow
        return 1 - (signal[1:] / signal[:-1]) ** 2

    @cached_property
    def lam(self) -> Tensor:
        """[T + 1]: half the log-SNR, log(alpha / sigma); +inf at t = 0."""
        return self.alpha.log() - self.sigma.log()

    @property
    def terminal_snr(self) -> float:
        """alpha_T^2 / sigma_T^2: what is left of the data in what should be pure noise."""
        return ((self.alpha[-1] / self.sigma[-1]) ** 2).item()

    # ---- the forward process: one step of the chain, and the jump that replaces t steps ----------------------------

    def transition(self, s: int, t: int) -> tuple[float, float]:
        """(ratio, std) of the kernel q(x_t | x_s) = N(ratio x_s, std^2 I), s < t (Kingma et al. 2021, appendix A)."""
        if not 0 <= s < t <= self.T:
            raise ValueError(f"need 0 <= s < t <= {self.T}, got s = {s}, t = {t}")
        a_s, s_s, a_t, s_t = (v.item() for v in (self.alpha[s], self.sigma[s], self.alpha[t], self.sigma[t]))
        ratio = a_t / a_s
        return ratio, math.sqrt(max((s_t - ratio * s_s) * (s_t + ratio * s_s), 0.0))

    def step(self, x: Tensor, t: int, z: Tensor) -> Tensor:
        """One step of the Markov chain, x_{t-1} -> x_t, with fresh unit noise z (Ho et al. eq. 2)."""
        ratio, std = self.transition(t - 1, t)
        return ratio * x + std * z

    def jump(self, x0: Tensor, t: int, eps: Tensor) -> Tensor:
        """The closed form x0 -> x_t in one go, with unit noise eps (Ho et al. eq. 4)."""
        return self.alpha[t].item() * x0 + self.sigma[t].item() * eps

    # ---- coarser and rescaled schedules are schedules ---------------------------------------------------------------

    def subsample(self, steps: int, spacing: str = "trailing") -> Schedule:
        """Keep `steps` of the T noise levels, and data at index 0 (Lin et al. 2024, table 2).

        trailing starts at T, linspace spans 1..T, leading starts at 1 and stops short of T. uniform_lam and karras
        start at T and take the levels nearest to an even grid in lam (Lu et al. 2022), or in (sigma / alpha)^(1/7)
        (Karras et al. 2022, eq. 5), each level once. They choose among the T levels rather than make new ones, because
        some paths are known at their levels only. ValueError unless steps lies in 1..T, KeyError for an unknown
        spacing.
        """
        if not 1 <= steps <= self.T:
            raise ValueError(f"steps must be between 1 and T = {self.T}, got {steps}")
        if spacing == "trailing":
            keep = self.T - torch.arange(steps, dtype=torch.float64).flip(0) * self.T / steps
        elif spacing == "leading":
            keep = 1 + torch.arange(steps, dtype=torch.float64) * (self.T // steps)
        elif spacing == "linspace":
            keep = 1 + torch.linspace(0, self.T - 1, steps, dtype=torch.float64).round()
        elif spacing == "uniform_lam":
            keep = self._nearest(self.lam, steps)
        elif spacing == "karras":
            keep = self._nearest(-((self.sigma / self.alpha) ** (1 / 7)), steps)
        else:
            raise KeyError(f"unknown spacing {spacing!r}; known: {', '.join(SPACINGS)}")
        return self.keep(torch.cat([torch.zeros(1), keep.round()]).long())

    def keep(self, index: Tensor) -> Schedule:
        """The levels with these indices, ascending from 0, on the same path."""
        return Schedule(self.alpha[index], self.sigma[index], Path(*(part[index] for part in self.path)))

    def _nearest(self, falling: Tensor, steps: int) -> Tensor:
        """`steps` distinct indices out of 1..T, ascending, T among them, where `falling` is nearest to an even grid.

        falling [T + 1]: the variable of the grid; where it is infinite, at alpha_T = 0, the level before stands for it.
        """
        values = torch.where(falling.isfinite(), falling, falling.roll(1))[1:]  # [T]
        grid = torch.linspace(values[-1].item(), values[0].item(), steps, dtype=torch.float64)  # from noise to data
        keep, above = [], self.T + 1
        for left, t in zip(range(steps, 0, -1), (values - grid[:, None]).abs().argmin(1).tolist(), strict=True):
            above = max(min(t + 1, above - 1), left)  # no level twice, and enough levels for the rest
            keep.append(above)
        return torch.tensor([*keep[:0:-1], self.T], dtype=torch.float64)


def _evenly(T: int, start: float, end: float, points: int) -> Tensor:
    """`points` evenly spaced values, float64, for a schedule of T steps; ValueError unless T is at least 1."""
    if T < 1:
        raise ValueError(f"T must be at least 1, got {T}")
    return torch.linspace(start, end, points, dtype=torch.float64)


def from_betas(betas: Tensor) -> Schedule:
    """The variance-preserving schedule with these one-step noise variances, betas [T], each inside (0, 1)."""
    betas = betas.to(torch.float64)
    if not ((betas > 0) & (betas < 1)).all():
        raise ValueError(f"every beta must lie inside (0, 1), got {betas.min():.3g} .. {betas.max():.3g}")
    log_alpha_bar = torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0)])
    alpha, sigma = (log_alpha_bar / 2).exp(), (-torch.expm1(log_alpha_bar)).sqrt()
    time, d_log, _ = Path.through(log_alpha_bar, log_alpha_bar)  # smooth at data too, where sigma rises as a root
    return Schedule(alpha, sigma, Path(time, alpha * d_log / 2, -(alpha**2) * d_log / (2 * sigma)))


def even_in_lam(T: int, lam_min: float, lam_max: float) -> Schedule:
    """Variance preserving: data, and T levels evenly spaced in lam, the half-log-SNR, from lam_max to lam_min."""
    alpha, sigma = amplitudes(_evenly(T, lam_max, lam_min, T))
    return Schedule(torch.cat([alpha.new_ones(1), alpha]), torch.cat([sigma.new_zeros(1), sigma]))


def unshrunk(schedule: Schedule) -> Schedule:
    """The same noise without the factor sqrt(1 - beta): x_t = x_{t-1} + sqrt(beta_t) z, whose variance grows."""
    variance = torch.cat([schedule.betas.new_zeros(1), schedule.betas.cumsum(0)])
    return Schedule(torch.ones_like(variance), variance.sqrt())


def constant(schedule: Schedule) -> Schedule:
    """The same beta at every step and the same alpha_bar_T, or float64's eps if that is 0, which no beta reaches."""
    end = max(schedule.alpha_bar[-1].item(), torch.finfo(torch.float64).eps)
    beta = 1 - end ** (1 / schedule.T)
    return from_betas(torch.full((schedule.T,), beta, dtype=torch.float64))


def _beta_range(T: int, beta_min: float, beta_max: float, rescale: bool) -> tuple[float, float]:
    """With `rescale`, both ends times 1000 / T, at most 0.999: every T ends at the same noise (improved DDPM)."""
    if not 0 < beta_min <= beta_max < 1:
        raise ValueError(f"need 0 < beta_min <= beta_max < 1, got beta_min = {beta_min}, beta_max = {beta_max}")
    factor = 1000 / T if rescale and T > 0 else 1.0
    return min(beta_min * factor, 0.999), min(beta_max * factor, 0.999)


def linear(T: int = 1000, beta_min: float = 1e-4, beta_max: float = 0.02, *, rescale: bool = False) -> Schedule:
    """beta_t evenly spaced (Ho et al. 2020, section 4)."""
    return from_betas(_evenly(T, *_beta_range(T, beta_min, beta_max, rescale), T))


def scaled_linear(
    T: int = 1000, beta_min: float = 0.00085, beta_max: float = 0.012, *, rescale: bool = False
) -> Schedule:
    """sqrt(beta_t) evenly spaced (latent diffusion, Rombach et al. 2022)."""
    low, high = _beta_range(T, beta_min, beta_max, rescale)
    return from_betas(_evenly(T, low**0.5, high**0.5, T) ** 2)


def cosine(T: int = 1000, *, offset: float = 0.008) -> Schedule:
    """alpha_bar a squared cosine, beta capped at 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    u = _evenly(T, 0, 1, T + 1)
    alpha_bar = torch.cos((u + offset) / (1 + offset) * torch.pi / 2) ** 2
    return from_betas((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


def sigmoid(T: int = 1000, *, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Schedule:
    """alpha_bar a falling sigmoid, beta capped at 0.999 (Jabri et al. 2022; Chen 2023)."""
    s = _evenly(T, start / tau, end / tau, T + 1).sigmoid()
    alpha_bar = (s[-1] - s) / (s[-1] - s[0])
    return from_betas((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


def karras(T: int = 40, sigma_min: float = 0.002, sigma_max: float = 80.0, *, rho: float = 7.0) -> Schedule:
    """Variance exploding: alpha = 1 and sigma^(1/rho) evenly spaced (Karras et al. 2022, eq. 5)."""
    if not 0 < sigma_min < sigma_max:
        raise ValueError(f"need 0 < sigma_min < sigma_max, got sigma_min = {sigma_min}, sigma_max = {sigma_max}")
    if not rho > 0:
        raise ValueError(f"rho must be above 0, got {rho}")
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    root = torch.cat([torch.zeros(1), _evenly(T, high, low, T).flip(0)])  # with T = 1, sigma_max
    slope = rho * root ** (rho - 1) * (high - low) / max(T - 1, 1)
    one, time = torch.ones_like(root), torch.arange(T + 1, dtype=torch.float64)
    return Schedule(one, root**rho, Path(time, 0 * one, slope))


def flow(T: int = 50) -> Schedule:
    """The straight path of flow matching, alpha = 1 - t/T, sigma = t/T (Lipman et al. 2023; Liu et al. 2023)."""
    u = _evenly(T, 0, 1, T + 1)
    return Schedule(1 - u, u)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
    "karras": karras,
    "flow": flow,
}
