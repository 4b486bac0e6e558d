"""Networks that see a point in variance-preserving coordinates and the half-log-SNR lam, never a timestep."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAM_RANGE = (-5.0, 6.0)  # what networks are trained on; beyond it a noise level is as good as pure noise, or as data
SHARPNESS = 4.0  # of the first features: networks learn what varies slowly first (Rahaman et al. 2019), data are thin


class LamEmbedding(nn.Module):
    """lam [...] -> [..., features]: sines and cosines of lam at geometrically spaced frequencies; clamps +-inf."""

    frequencies: Tensor  # [features / 2]

    def __init__(self, features: int = 32):
        super().__init__()
        # periods from 1 to 30, twice the range of lam
        periods = [10 ** (1.5 * i / (features // 2 - 1)) for i in range(features // 2)]
        frequencies = torch.tensor([math.tau / period for period in periods])
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, lam: Tensor) -> Tensor:
        phase = lam.clamp(*LAM_RANGE)[..., None] * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], -1)


class MLP(nn.Module):
    """x [..., dim], lam that broadcasts to [...] -> [..., dim].

    The noise level acts on every hidden layer through an added vector only: `level(lam)` [depth, width] for one lam
    shared by all points, where it folds into the layers' biases and costs nothing per point; [..., depth, width] for
    more. What `level` says of a whole schedule can be had at once and handed to `at`, step by step.
    """

    def __init__(self, dim: int = 2, width: int = 40, depth: int = 4):
        super().__init__()
        if min(dim, width, depth) < 1:
            raise ValueError(f"need dim, width, depth of at least 1, got dim = {dim}, width = {width}, depth = {depth}")
        self.hyperparameters = dict(dim=dim, width=width, depth=depth)
        self.layers = nn.ModuleList(nn.Linear(dim if i == 0 else width, width, bias=False) for i in range(depth))
        shifts = [nn.Linear(32, width), nn.SiLU(), nn.Linear(width, depth * width), nn.Unflatten(-1, (depth, width))]
        self.level = nn.Sequential(LamEmbedding(32), *shifts)
        self.out = nn.Linear(width, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def reset(self, generator: torch.Generator) -> MLP:
        """Draw the weights again, from `generator`: uniform in +- 1 / sqrt(inputs); the last layer says nothing yet."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear) and layer is not self.out:
                for parameter in layer.parameters():
                    bound = (SHARPNESS if layer is self.layers[0] else 1) * layer.in_features**-0.5
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
        return self

    def forward(self, x: Tensor, lam: Tensor) -> Tensor:
        return self.at(x, self.level(lam))

    def at(self, x: Tensor, level: Tensor) -> Tensor:
        for layer, shift in zip(self.layers, level.unbind(-2), strict=True):
            x = F.silu(
                F.linear(x, layer.get_parameter("weight"), shift) if shift.ndim == 1 else layer(x) + shift, inplace=True
            )
        return self.out(x)


NETWORKS: dict[str, type[nn.Module]] = {"MLP": MLP}
