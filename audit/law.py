"""A Gaussian mixture by numpy and scipy alone: the judge's own density, score and denoiser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from audit.row import Row, compared
from ddpm_core import GaussianMixture

Array = np.ndarray


class Law:
    """sum_k w_k N(m_k, C_k): weights [K], means [K, D], covariances [K, D, D]."""

    def __init__(self, weights: Array, means: Array, covariances: Array):
        self.weights, self.means, self.covariances = weights, means, covariances

    @property
    def ours(self) -> GaussianMixture:
        """The same law as the lab has it."""
        return GaussianMixture(self.weights, self.means, self.covariances)

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        """In nats, of alpha x0 + sigma eps at x [n, D], by scipy.stats; [n]."""
        totals = alpha**2 * self.covariances + sigma**2 * np.eye(x.shape[1])
        parts = [
            np.log(weight) + multivariate_normal.logpdf(x, alpha * mean, total)
            for weight, mean, total in zip(self.weights, self.means, totals, strict=True)
        ]
        return logsumexp(parts, axis=0)

    def _bayes(self, x: Array, alpha: float, sigma: float) -> tuple[Array, Array, Array]:
        """P(component | x) [K, n], total^-1 (x - alpha m) [K, D, n] and total^-1 [K, D, D], total the noised C."""
        totals = alpha**2 * self.covariances + sigma**2 * np.eye(x.shape[1])
        off = (x - alpha * self.means[:, None]).transpose(0, 2, 1)
        inverse = np.linalg.inv(totals)
        pulled = inverse @ off
        log = np.log(self.weights / np.sqrt(np.linalg.det(totals)))[:, None] - (off * pulled).sum(1) / 2
        return softmax(log, axis=0), pulled, inverse

    def shares(self, x: Array) -> Array:
        """P(component | x); [n, K]."""
        return self._bayes(x, 1.0, 0.0)[0].T

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        share, pulled, _ = self._bayes(x, alpha, sigma)
        return -np.einsum("kn,kin->ni", share, pulled)

    def posterior(self, x: Array, alpha: float, sigma: float) -> tuple[Array, Array]:
        """Mean [n, D] of x0 given alpha x0 + sigma eps = x, and its variance, the mean over coordinates, [n]."""
        share, pulled, inverse = self._bayes(x, alpha, sigma)
        centres = self.means[:, :, None] + alpha * self.covariances @ pulled  # Kalman's; [K, D, n]
        mean = np.einsum("kn,kin->in", share, centres)
        rest = self.covariances - alpha**2 * self.covariances @ inverse @ self.covariances
        inside = np.trace(rest, axis1=1, axis2=2)[:, None] + np.square(centres - mean).sum(1)  # [K, n]
        return mean.T, (share * inside).sum(0) / x.shape[1]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, D]."""
        k = rng.choice(len(self.weights), n, p=self.weights)
        roots = np.linalg.cholesky(self.covariances)
        return self.means[k] + np.einsum("nij,nj->ni", roots[k], rng.standard_normal((n, self.means.shape[1])))


def drawn(rng: np.random.Generator, components: int | None = None) -> Law:
    """3 to 9 components of random weights, places, sizes and directions in the plane; of about unit size as a whole."""
    K = components or int(rng.integers(3, 10))
    shapes = rng.standard_normal((K, 2, 2)) * rng.uniform(0.1, 0.4, (K, 1, 1))
    covariances = shapes @ shapes.transpose(0, 2, 1) + 0.003 * np.eye(2)
    return Law(rng.dirichlet(np.full(K, 3.0)), rng.normal(scale=1.2, size=(K, 2)), covariances)


def torch_of(x: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))


def rows(rng: np.random.Generator) -> Iterator[Row]:
    """What the lab calls exact about a mixture: density, score, denoiser, variance, and samples."""
    law = drawn(rng)
    ours = law.ours
    for alpha, sigma in ((1.0, 0.01), (0.9, 0.4), (0.3, 0.95), (1.0, 30.0)):
        x = alpha * law.sample(300, rng) + sigma * rng.standard_normal((300, 2))
        mean, variance = law.posterior(x, alpha, sigma)
        noised = ours.noised(alpha, sigma)
        pairs = {
            "log density": (noised.log_prob(torch_of(x)), law.log_density(x, alpha, sigma)),
            "score": (noised.score(torch_of(x)), law.score(x, alpha, sigma)),
            "denoiser": (ours.denoise(torch_of(x), alpha, sigma), mean),
            "posterior variance": (ours.posterior_variance(torch_of(x), alpha, sigma), variance),
        }
        for name, (said, theirs) in pairs.items():
            size, judge = np.abs(theirs).max(), "scipy.stats" if name == "log density" else "numpy"
            difference, largest = np.abs(said.numpy() - theirs).max(), said.abs().max().item()
            what = f"{name} at alpha {alpha}, sigma {sigma}"
            yield Row(what, judge, largest, size, difference, 1e-8 * max(1.0, size))
    n = 100_000
    seed = int(rng.integers(2**31))
    x, generator = law.sample(n, rng), torch.Generator().manual_seed(seed)
    drawn_here = ours.sample(n, generator=generator).numpy()
    for name, moment in {"mean": lambda x: x[:, 0], "product": lambda x: x[:, 0] * x[:, 1]}.items():
        a, b = moment(drawn_here), moment(x)
        tolerance = 4.5 * np.hypot(a.std(), b.std()) / n**0.5
        yield compared(f"{name} of {n:,} samples", "numpy", a.mean(), b.mean(), tolerance)
