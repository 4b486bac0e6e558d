"""Gaussian mixtures: data whose density, score and denoiser are known exactly at every noise level.

Everything exact in the lab rests on one fact: a mixture stays a mixture when noise is added,

    x0 ~ sum_k w_k N(m_k, C_k)   =>   alpha x0 + sigma eps ~ sum_k w_k N(alpha m_k, alpha^2 C_k + sigma^2 I).

Each covariance is stored by its eigenvectors and eigenvalues, C_k = U_k diag(c_k) U_k^T; noise changes only the
eigenvalues.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Labelled(NamedTuple):
    x: Tensor  # [n, D]
    label: Tensor  # [n] int64


class GaussianMixture:
    """sum_k w_k N(m_k, C_k) in D dimensions.

    weights     [K]; normalised here, must be non-negative and not all zero
    means       [K, D]
    covariances scalar, [K] (isotropic variances) or [K, D, D]; zero is allowed and makes point masses
    labels      [K] integers, one per component; by default every component is its own class
    scale,shift undo the standardisation: raw = scale * x + shift
    """

    def __init__(self, weights, means, covariances, labels=None, *, scale: float = 1.0, shift=0.0):
        self.means = torch.as_tensor(means, dtype=torch.float64)
        K, D = self.means.shape
        self.weights = torch.as_tensor(weights, dtype=torch.float64).expand(K)
        if (self.weights < 0).any() or not self.weights.sum() > 0:
            raise ValueError("weights must be non-negative and sum to more than zero")
        self.weights = self.weights / self.weights.sum()
        covariances = torch.as_tensor(covariances, dtype=torch.float64)
        if covariances.ndim == 3:
            self.variances, self.axes = torch.linalg.eigh(covariances)  # [K, D], [K, D, D]
            rounding = 1e-12 * self.variances.abs().amax(-1, keepdim=True)  # a zero eigenvalue may come out as -1e-17
            self.variances = torch.where(self.variances.abs() <= rounding, 0.0, self.variances)
        else:
            self.variances, self.axes = covariances.expand(K)[:, None], None  # [K, 1]: the same along every axis
        if (self.variances < 0).any():
            raise ValueError("covariances must be positive semi-definite")
        self.labels = torch.arange(K) if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        if self.labels.shape != (K,):
            raise ValueError(f"labels must have one integer for each of the {K} components")
        self.scale, self.shift = float(scale), torch.as_tensor(shift, dtype=torch.float64).expand(D)

    @classmethod
    def _of(cls, weights, means, variances, axes, labels, scale, shift) -> GaussianMixture:
        """Build a mixture from eigenvalues, without another decomposition."""
        self = object.__new__(cls)
        self.weights, self.means, self.variances, self.axes = weights, means, variances, axes
        self.labels, self.scale, self.shift = labels, scale, shift
        return self

    @property
    def K(self) -> int:
        return self.means.shape[0]

    @property
    def D(self) -> int:
        return self.means.shape[1]

    @property
    def covariances(self) -> Tensor:  # [K, D, D]
        axes = torch.eye(self.D, dtype=torch.float64).expand(self.K, -1, -1) if self.axes is None else self.axes
        return (axes * self.variances[:, None, :]) @ axes.mT

    @property
    def mean(self) -> Tensor:  # [D]
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:  # [D, D]; law of total covariance
        centred = self.means - self.mean
        return (
            torch.einsum("k,kij->ij", self.weights, self.covariances) + (self.weights[:, None] * centred).mT @ centred
        )

    @property
    def singular(self) -> bool:
        """Whether some of the probability lies on points or lines, where there is no density."""
        return bool((self.variances[self.weights > 0] == 0).any())

    # ---- sampling -------------------------------------------------------------------------------------------------

    def components_from_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points [n, D] and component indices [n] from unit normals z [n, D + 1]; row i depends only on row i of z.

        The first column selects the component by the inverse of the cumulative weights, the others place the point in
        it. So the same noise gives the same particle, whatever the number of particles.
        """
        z = z.to(torch.float64)
        edges = self.weights.cumsum(0)
        k = torch.searchsorted(edges, torch.special.ndtr(z[:, 0]) * edges[-1]).clamp_(max=self.K - 1)  # [n]
        offset = z[:, 1:] * self.variances[k].sqrt()
        if self.axes is not None:
            offset = torch.einsum("nij,nj->ni", self.axes[k], offset)
        return self.means[k] + offset, k

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """n independent points, [n, D] float64."""
        return self.sample_labelled(n, generator=generator).x

    def sample_labelled(self, n: int, *, generator: torch.Generator) -> Labelled:
        """n independent points [n, D] with the label of the component that each came from, [n]."""
        z = torch.randn(n, self.D + 1, generator=generator, dtype=torch.float64, device=generator.device).cpu()
        x, k = self.components_from_noise(z)
        return Labelled(x, self.labels[k])

    # ---- density, score and denoiser: three softmax-weighted sums over the components -------------------------

    def _log_joint(self, x: Tensor) -> Tensor:
        """log w_k N(x; m_k, C_k); [n, K]."""
        weights, means, variances = (p.to(x) for p in (self.weights, self.means, self.variances))
        variances = torch.where(weights[:, None] > 0, variances, 1.0)  # else 0 * inf, for a point mass without weight
        if self.axes is None:
            distance = torch.cdist(x, means, compute_mode="donot_use_mm_for_euclid_dist")
            quadratic = distance.square() / variances[:, 0]
        else:
            offset = torch.einsum("nki,kij->nkj", x[:, None, :] - means, self.axes.to(x))  # U_k^T (x - m_k)
            quadratic = (offset.square() / variances).sum(-1)
        log_det = variances.expand(-1, self.D).log().sum(-1)  # [K]
        return torch.add(weights.log() - 0.5 * (log_det + self.D * math.log(2 * math.pi)), quadratic, alpha=-0.5)

    def responsibilities(self, x: Tensor) -> Tensor:
        """P(component k | x) for x [n, D], by Bayes' rule; [n, K], each row sums to 1."""
        return self._log_joint(x).softmax(-1)

    def _average(self, x: Tensor, gain: Tensor, centre: Tensor) -> Tensor:
        """sum_k r_k (centre_k + G_k (x - m_k)), r = responsibilities(x), G_k = U_k diag(gain_k) U_k^T; [n, D].

        Given r it is affine in x, so no [n, K, D] array is needed; and what is, [1024, K], stays in cache.
        """
        return torch.cat([self._average_of_part(part, gain, centre) for part in x.split(1024)])

    def _average_of_part(self, x: Tensor, gain: Tensor, centre: Tensor) -> Tensor:
        r = self.responsibilities(x)
        if self.axes is None:
            affine = torch.cat([centre - gain * self.means, gain], -1).to(x)  # [K, D + 1]
            mixed = F.linear(r, affine.mT.contiguous())  # in this layout six times as fast as r @ affine on a CPU
            return mixed[:, :-1] + mixed[:, -1:] * x
        G = (self.axes * gain[:, None, :]) @ self.axes.mT  # [K, D, D]
        constant = centre - (G @ self.means[..., None])[..., 0]
        return r @ constant.to(x) + (torch.einsum("nk,kij->nij", r, G.to(x)) @ x[..., None])[..., 0]

    def log_prob(self, x: Tensor) -> Tensor:
        """log density at x [n, D], in nats; [n]."""
        return self._log_joint(x).logsumexp(-1)

    def component_of(self, x: Tensor) -> Tensor:
        """The most probable component of each x [n, D]; [n] int64."""
        return self._log_joint(x).argmax(-1)

    def score(self, x: Tensor) -> Tensor:
        """Gradient of log_prob, sum_k r_k(x) C_k^{-1} (m_k - x); [n, D]."""
        return self._average(x, -1 / self.variances, torch.zeros_like(self.means))

    def noised(self, alpha: float, sigma: float) -> GaussianMixture:
        """The distribution of alpha * x0 + sigma * eps, which is a mixture again."""
        variances = alpha**2 * self.variances + sigma**2
        return self._of(self.weights, alpha * self.means, variances, self.axes, self.labels, self.scale, self.shift)

    def denoise(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Posterior mean E[x0 | alpha x0 + sigma eps = x]; x and result [n, D].

        Within component k it is the Kalman update m_k + alpha C_k (alpha^2 C_k + sigma^2 I)^{-1} (x - alpha m_k).
        """
        noised = self.noised(alpha, sigma)
        gain = alpha * self.variances / noised.variances
        return noised._average(x, gain, self.means)

    def posterior_variance(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Var(x0 | alpha x0 + sigma eps = x), averaged over coordinates, for x [n, D]; [n].

        By the law of total variance: the mean over components of the Kalman variance C_k sigma^2 / (alpha^2 C_k +
        sigma^2), plus the variance of the components' posterior means. Its expectation over x is the smallest possible
        squared error of a denoiser.
        """
        return torch.cat([self._posterior_variance(part, alpha, sigma) for part in x.to(torch.float64).split(256)])

    def _posterior_variance(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        noised = self.noised(alpha, sigma)
        r = noised.responsibilities(x)
        gain, offset = alpha * self.variances / noised.variances, x[:, None, :] - noised.means
        if self.axes is not None:
            offset = torch.einsum("kij,nkj->nki", self.axes, gain * torch.einsum("nki,kij->nkj", offset, self.axes))
        else:
            offset = gain * offset
        means = self.means + offset  # [n, K, D]
        spread = (means - (r[..., None] * means).sum(1, keepdim=True)).square().mean(-1)
        inside = (self.variances * sigma**2 / noised.variances).mean(-1)
        return (r * (inside + spread)).sum(-1)

    def entropy(self, n: int = 200_000, *, generator: torch.Generator) -> float:
        """Differential entropy in nats, by Monte Carlo over n points (standard error about 1 / sqrt(n)).

        -inf if some of the probability lies on points or lines.
        """
        if self.singular:
            return -math.inf
        x = self.sample(n, generator=generator)
        return -sum(self.log_prob(part).sum().item() for part in x.split(4096)) / n

    def kl_to_noise(self, n: int = 200_000, *, generator: torch.Generator) -> float:
        """KL(p || N(0, I)) in nats, by Monte Carlo over n points; its error vanishes as p approaches N(0, I).

        inf if some of the probability lies on points or lines.
        """
        if self.singular:
            return math.inf
        x = self.sample(n, generator=generator)
        parts = ((self.log_prob(part), part.square().sum(1) + self.D * math.log(2 * math.pi)) for part in x.split(4096))
        return sum((log_p + square / 2).sum().item() for log_p, square in parts) / n

    # ---- derived mixtures -----------------------------------------------------------------------------------------

    def given_label(self, label: int) -> GaussianMixture:
        """The mixture of the components with this label. KeyError lists the known labels."""
        keep = self.labels == label
        if not keep.any():
            raise KeyError(f"no component has label {label}; known: {sorted(set(self.labels.tolist()))}")
        weights = self.weights[keep] / self.weights[keep].sum()
        axes = None if self.axes is None else self.axes[keep]
        return self._of(
            weights, self.means[keep], self.variances[keep], axes, self.labels[keep], self.scale, self.shift
        )

    def standardised(self) -> GaussianMixture:
        """The mixture with mean zero and mean variance one. One scale for all axes keeps the shape; it is recorded."""
        shift, scale = self.mean, self.covariance.diagonal().mean().sqrt().item()
        means, variances = (self.means - shift) / scale, self.variances / scale**2
        return self._of(
            self.weights, means, variances, self.axes, self.labels, self.scale * scale, self.scale * shift + self.shift
        )
