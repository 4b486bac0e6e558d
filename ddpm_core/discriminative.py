"""A network against its own samples: direct discriminative optimisation (Zheng et al. 2025).

Least squares make a small network cover all of the data and a little more. What it covers too much is where its own
samples lie and data do not, and telling the two apart takes no further network: of p, which learns, and p_ref, which
drew the samples, log p(x) / p_ref(x) is the logit of a discriminator, the best one if p is the law of the data
(Goodfellow et al. 2014, proposition 1). Of two denoisers it is how much smaller the one's squared error at x is than
the other's, up to a factor at each noise level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from .images import Images
    from .mixtures import GaussianMixture


@dataclass(frozen=True)
class Rival:
    """The network as it was, frozen, and what it drew. ValueError unless beta is above 0."""

    reference: nn.Module
    drawn: GaussianMixture | Images
    beta: float = 0.1  # of the logit: the smaller, the further the network may go from the reference

    def __post_init__(self):
        if not self.beta > 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")

    def loss(
        self, real: bool, error: Tensor, asked: tuple[Tensor, ...], target: Tensor, weight: Tensor, looks: int = 1
    ) -> Tensor:
        """-log of the probability that the network gives to what these points are, real or drawn; ln 2 at first.

        error  its weighted squared errors, like target [levels, points, ...], for `asked`: x, lam and maybe labels
        looks  levels, one after the other, at which the same points are seen

        The logit is an average over noise and levels, and the mean of so many draws stands for it: an upper bound of
        the loss by Jensen's inequality, the closer the more there are.
        """
        with torch.no_grad():
            usual = weight * (self.reference(*asked) - target).square()
        excess = (error - usual).flatten(2).sum(-1).unflatten(0, (-1, looks)).mean(1)  # of real points it should fall
        return F.softplus(self.beta * (excess if real else -excess)).mean()
