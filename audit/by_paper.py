"""Samplers once more in numpy, each from the formula of its paper: they share no line with the lab's, nor one another.

Each takes a Walk and gives the sample [n, D]. In EDM coordinates y = x / alpha and rho = sigma / alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import RK23, quad, solve_ivp

from audit.law import Array
from audit.walk import Walk

# ---- chains ----


def bayes(walk: Walk, *, variance: str) -> Array:
    """DDPM, as the product of two Gaussians: what x_t says of x_{t-1}, and what x0 says (Ho et al. 2020, section 2).

    "optimal" adds what is not known of x0 (Bao et al. 2022, theorem 1).
    """
    x, a, s = walk.start, walk.alpha, walk.sigma
    for t in range(walk.T, 1, -1):
        kept = a[t] / a[t - 1]
        added = s[t] ** 2 - (kept * s[t - 1]) ** 2
        precision = kept**2 / added + 1 / s[t - 1] ** 2
        mean, unknown = walk.law.posterior(x, a[t], s[t])
        share = a[t - 1] / s[t - 1] ** 2 / precision
        spread = {"beta": added, "beta_tilde": 1 / precision, "optimal": 1 / precision + share**2 * unknown}[variance]
        x = kept * x / added / precision + share * mean + np.sqrt(np.reshape(spread, (-1, 1))) * walk.z[t]
    return walk.x0(x, 1)


def ddim(walk: Walk, *, eta: float = 0.0) -> Array:
    """Song et al. 2021, eq. 12 and 16, in alpha_bar."""
    x, bar = walk.start, walk.alpha**2 / (walk.alpha**2 + walk.sigma**2)
    for t in walk.downward:
        s = eta * math.sqrt((1 - bar[t - 1]) / (1 - bar[t]) * (1 - bar[t] / bar[t - 1]))
        x0 = walk.law.posterior(x, math.sqrt(bar[t]), math.sqrt(1 - bar[t]))[0]
        eps = (x - math.sqrt(bar[t]) * x0) / math.sqrt(1 - bar[t])
        x = math.sqrt(bar[t - 1]) * x0 + math.sqrt(1 - bar[t - 1] - s**2) * eps + s * walk.z[t]
    return x


def ancestral(walk: Walk) -> Array:
    """To less noise than wanted, and up again (Crowson 2022)."""
    y, rho = walk.start / walk.alpha[-1], walk.rho
    for t in walk.downward:
        up = rho[t - 1] * math.sqrt(rho[t] ** 2 - rho[t - 1] ** 2) / rho[t]
        y = y + (math.sqrt(rho[t - 1] ** 2 - up**2) - rho[t]) * walk.slope(y, rho[t]) + up * walk.z[t]
    return y


def stirred_heun(walk: Walk, *, churn: float) -> Array:
    """Karras et al. 2022, algorithm 2, but no noise before the last step."""
    y, rho = walk.start / walk.alpha[-1], walk.rho
    for t in walk.downward:
        gamma = min(churn / walk.T, math.sqrt(2) - 1) if t > 1 else 0
        hat = rho[t] + gamma * rho[t]
        y_hat = y + math.sqrt(hat**2 - rho[t] ** 2) * walk.z[t]
        d = walk.slope(y_hat, hat)
        y = y_hat + (rho[t - 1] - hat) * d
        if t > 1:
            y = y_hat + (rho[t - 1] - hat) * (d / 2 + walk.slope(y, rho[t - 1]) / 2)
    return y


def corrected(walk: Walk, *, correction: float) -> Array:
    """Song et al. 2021, algorithm 1: a step of the flow, then one of Langevin dynamics of size correction sigma^2."""
    x, a, s = walk.start, walk.alpha, walk.sigma
    for t in walk.downward:
        x = a[t - 1] * walk.x0(x, t) + s[t - 1] * walk.eps(x, t)
        if t > 1:
            h = correction * s[t - 1] ** 2
            x = x + h / 2 * walk.law.score(x, a[t - 1], s[t - 1]) + math.sqrt(h) * walk.z[t]
    return x


# ---- Runge and Kutta ----

Tableau = tuple[list[float], list[list[float]], list[float]]  # c, a, b
HEUN: Tableau = ([0, 1], [[], [1]], [1 / 2, 1 / 2])
KUTTA: Tableau = ([0, 1 / 2, 1 / 2, 1], [[], [1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6])


def runge_kutta(walk: Walk, *, tableau: Tableau) -> Array:
    """Any explicit method, from its tableau; x0-hat in the end."""
    y, rho = walk.start / walk.alpha[-1], walk.rho
    for t in range(walk.T, 1, -1):
        h, slopes = rho[t - 1] - rho[t], list[Array]()
        for c, row in zip(*tableau[:2], strict=True):
            inner = sum((a * k for a, k in zip(row, slopes, strict=True)), np.zeros_like(y))
            slopes.append(walk.slope(y + h * inner, rho[t] + c * h))
        y = y + h * np.tensordot(tableau[2], slopes, 1)
    return walk.law.posterior(y, 1.0, rho[1])[0]


def middle(walk: Walk) -> Array:
    """DPM-Solver-2 with r = 1/2 (Lu et al. 2022a, algorithm 1), in x, alpha, sigma and half-log-SNR, as printed."""
    x, a, s, lam = walk.start, walk.alpha, walk.sigma, walk.lam
    for t in range(walk.T, 1, -1):
        h = lam[t - 1] - lam[t]
        a_m, s_m = 1.0, math.exp(-(lam[t] + h / 2))  # any point of this half-log-SNR, here without shrinking
        x_m = a_m / a[t] * x - s_m * math.expm1(h / 2) * walk.eps(x, t)
        x = a[t - 1] / a[t] * x - s[t - 1] * math.expm1(h) * walk.slope(x_m, s_m)
    return walk.x0(x, 1)


def velocity(walk: Walk) -> Array:
    """Euler's method in the time of the path, whose slopes are differentiated by hand."""
    x, a, s = walk.start, walk.alpha, walk.sigma
    pace = (80 ** (1 / 7) - 0.002 ** (1 / 7)) / (walk.T - 1)
    d_alpha, d_sigma = {"flow": (-1 / walk.T, 1 / walk.T + 0 * s), "karras": (0.0, 7 * s ** (6 / 7) * pace)}[walk.path]
    for t in range(walk.T, 1, -1):
        eps = (x - a[t] * walk.x0(x, t)) / s[t]
        x = x - (d_alpha * walk.x0(x, t) + d_sigma[t] * eps)
    return walk.x0(x, 1)


# ---- several answers ----


def integrals(nodes: Sequence[float], low: float, high: float, kernel: Callable[[float], float]) -> list[float]:
    """Of the kernel times each polynomial of Lagrange, by quadrature."""

    def weighted(u: float, node: float) -> float:
        return kernel(u) * math.prod((u - other) / (node - other) for other in nodes if other != node)

    return [quad(weighted, low, high, args=(node,), epsabs=0, epsrel=1e-13, limit=200)[0] for node in nodes]


def multistep_noise(walk: Walk, *, order: int, of_rho: bool) -> Array:
    """y moves by the integral of eps over rho; a polynomial of rho or of lam = -log rho (Zhang & Chen 2023)."""
    y, rho, lam, answers = walk.start / walk.alpha[-1], walk.rho, walk.lam, list[Array]()
    for t in range(walk.T, 1, -1):
        answers = [walk.slope(y, rho[t]), *answers][:order]
        used = slice(t, t + len(answers))
        if of_rho:
            weights = integrals(rho[used].tolist(), rho[t], rho[t - 1], lambda u: 1.0)
        else:
            weights = integrals(lam[used].tolist(), lam[t], lam[t - 1], lambda u: -math.exp(-u))
        y = y + np.tensordot(weights, answers, 1)
    return walk.law.posterior(y, 1.0, rho[1])[0]


def data_step(walk: Walk, x: Array, t: int, nodes: list[int], answers: list[Array]) -> Array:
    """x / sigma moves by the integral of e^lam x0 over lam (Lu et al. 2022b, eq. 9), answers[i] being x0 at nodes[i].

    Two answers count as their straight line half-way, as in DPM-Solver++(2M) and UniPC.
    """
    lam, s = walk.lam, walk.sigma
    whole = math.exp(lam[t - 1]) - math.exp(lam[t])
    if len(nodes) == 2:
        (here,) = (i for i, node in enumerate(nodes) if node == t)
        other = nodes[1 - here]
        half = (lam[t - 1] - lam[t]) / 2 / (lam[other] - lam[t])
        moved = whole * (answers[here] + half * (answers[1 - here] - answers[here]))
    else:
        moved = np.tensordot(integrals(lam[nodes].tolist(), lam[t], lam[t - 1], math.exp), answers, 1)
    return s[t - 1] * (x / s[t] + moved)


def multistep_data(walk: Walk, *, order: int) -> Array:
    """DPM-Solver++ of this order."""
    x, known = walk.start, list[Array]()
    for t in range(walk.T, 1, -1):
        known = [walk.x0(x, t), *known][:order]
        x = data_step(walk, x, t, list(range(t, t + len(known))), known)
    return walk.x0(x, 1)


def multistep_sde(walk: Walk) -> Array:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022b, section 5), as printed."""
    x, a, s, lam, before = walk.start, walk.alpha, walk.sigma, walk.lam, np.empty(0)
    for t in range(walk.T, 1, -1):
        h, now = lam[t - 1] - lam[t], walk.x0(x, t)
        D = now + h / (lam[t] - lam[t + 1]) / 2 * (now - before) if t < walk.T else now
        noise = s[t - 1] * math.sqrt(-math.expm1(-2 * h)) * walk.z[t]
        x = s[t - 1] / s[t] * math.exp(-h) * x - a[t - 1] * math.expm1(-2 * h) * D + noise
        before = now
    return walk.x0(x, 1)


def predict_and_correct(walk: Walk, *, order: int) -> Array:
    """UniPC (Zhao et al. 2023): the step again, through the answer where it led; its answers stay those predicted."""
    x, known = walk.start, [walk.x0(walk.start, walk.T)]
    for t in range(walk.T, 1, -1):
        nodes = list(range(t, t + len(known)))
        answer = walk.x0(data_step(walk, x, t, nodes, known), t - 1)
        x = data_step(walk, x, t, [t - 1, *nodes], [answer, *known])
        known = [answer, *known][:order]
    return known[0]


# ---- the whole flow ----


def picard(walk: Walk, *, sweeps: int) -> Array:
    """Shih et al. 2023: x_t / sigma_t as the start and a sum over all answers of the sweep before, at once."""
    a, s, T = walk.alpha, walk.sigma, walk.T
    scale = np.hypot(a, s)[1:, None, None]
    x = walk.z[0] * scale  # at t = 1 .. T
    gains = np.diff(a[1:] / s[1:])[:, None, None]  # of lam's exponential, below 0
    answers = x
    for _ in range(min(sweeps, T)):
        answers = np.stack([walk.x0(x[t - 1], t) for t in range(1, T + 1)])
        sums = np.cumsum((-gains * answers[1:])[::-1], axis=0)[::-1]
        x = s[1:, None, None] * (walk.start / s[-1] + np.concatenate([sums, np.zeros((1, *walk.start.shape))]))
    return answers[0]


def turning(walk: Walk) -> Callable[[float, Array], Array]:
    """dy / d theta = alpha eps - sigma x0 with (alpha, sigma) = (cos, sin) theta (Salimans & Ho 2022, appendix D)."""

    def v(theta: float, y: Array) -> Array:
        a, s = math.cos(theta), math.sin(theta)
        x0 = walk.law.posterior(y.reshape(walk.start.shape), a, s)[0]
        return ((a * y.reshape(x0.shape) - x0) / s).ravel()

    return v


def exact(walk: Walk) -> Array:
    """Where the flow is at every level, from the noisiest to t = 1 and at data: [T + 1, n, D], by scipy's DOP853."""
    theta = np.append(np.arctan2(walk.sigma, walk.alpha)[:0:-1], 1e-7)
    found = solve_ivp(turning(walk), theta[[0, -1]], walk.z[0].ravel(), "DOP853", theta, rtol=1e-11, atol=1e-11)
    scale = np.append(np.hypot(walk.alpha, walk.sigma)[:0:-1], 1.0)
    return found.y.T.reshape(-1, *walk.start.shape) * scale[:, None, None]


def bogacki_shampine(walk: Walk, *, tolerance: float) -> Array:
    """The adaptive method with scipy's tableau: factor 0.9, between 0.2 and 5, down to an angle of 1e-4."""
    v, y, theta = turning(walk), walk.z[0].ravel(), math.atan2(walk.sigma[-1], walk.alpha[-1])
    h = (1e-4 - theta) / 10
    while theta > 1e-4:
        h = max(h, 1e-4 - theta)
        k = [v(theta, y)]
        for c, row in zip(RK23.C[1:], RK23.A[1:], strict=True):
            k.append(v(theta + c * h, y + h * np.dot(row[: len(k)], k)))
        new = y + h * np.dot(RK23.B, k)
        k.append(v(theta + h, new))
        error = abs(h) * math.sqrt(np.square(np.dot(RK23.E, k)).mean())
        if error <= tolerance:
            y, theta = new, theta + h
        h *= min(max(0.9 * (tolerance / error) ** (1 / 3), 0.2), 5.0)
    return walk.law.posterior(y.reshape(walk.start.shape), math.cos(theta), math.sin(theta))[0]
