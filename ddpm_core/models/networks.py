"""Networks that see a point in variance-preserving coordinates and the half-log-SNR lam, never a timestep."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAM_RANGE = (-5.0, 6.0)  # what networks are trained on; beyond it lies what is practically pure noise, or data
SHARPNESS = 4.0  # of the first features, as data are thin and networks learn slow variation first (Rahaman et al. 2019)


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


def _zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all parameters zero, so that its output is zero until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class MLP(nn.Module):
    """x [..., dim], lam that broadcasts to [...] -> [..., dim].

    The noise level only adds a vector to every hidden layer: `level(lam)`, [depth, width] for one lam shared by all
    points, where it becomes the layers' biases and costs nothing per point; [..., depth, width] for more. `level` can
    be computed once for a whole schedule and passed to `at` step by step.
    """

    def __init__(self, dim: int = 2, width: int = 40, depth: int = 4):
        super().__init__()
        if min(dim, width, depth) < 1:
            raise ValueError(f"need dim, width, depth of at least 1, got dim = {dim}, width = {width}, depth = {depth}")
        self.hyperparameters, self.shape = dict(dim=dim, width=width, depth=depth), (dim,)
        self.layers = nn.ModuleList(nn.Linear(dim if i == 0 else width, width, bias=False) for i in range(depth))
        shifts = [nn.Linear(32, width), nn.SiLU(), nn.Linear(width, depth * width), nn.Unflatten(-1, (depth, width))]
        self.level = nn.Sequential(LamEmbedding(32), *shifts)
        self.out = _zeroed(nn.Linear(width, dim))

    def reset(self, generator: torch.Generator) -> MLP:
        """Draw the weights again from `generator`: uniform in +- 1 / sqrt(inputs); the last layer stays zero."""
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


# ---- images ---------------------------------------------------------------------------------------------------------


class ChannelNorm(nn.LayerNorm):
    """Normalises each pixel's channels to mean 0 and variance 1, for x [n, channels, h, w].

    In channels-last memory a pixel's channels are adjacent; group norm over the whole picture costs four times as much.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ResidualBlock(nn.Module):
    """x [n, channels, h, w], level [n, features] -> like x; the level scales and shifts the inner features.

    (Dhariwal & Nichol 2021, section 3, adaptive normalisation.) It starts as the identity.
    """

    def __init__(self, channels: int, features: int):
        super().__init__()
        self.before = nn.Sequential(ChannelNorm(channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.norm = ChannelNorm(channels, elementwise_affine=False)
        self.level = nn.Sequential(nn.Linear(features, 2 * channels), nn.Unflatten(1, (2 * channels, 1, 1)))
        self.after = nn.Sequential(nn.SiLU(), _zeroed(nn.Conv2d(channels, channels, 3, padding=1)))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        scale, shift = self.level(level).chunk(2, 1)
        return x + self.after(torch.addcmul(shift, self.norm(self.before(x)), 1 + scale))


class SelfAttention(nn.Module):
    """x [n, channels, h, w] -> like x: every pixel attends to all others, in heads of 32 channels.

    It starts as the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.heads = max(1, channels // 32)
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1))  # [n, 3, heads, channels, pixels]
        mixed = F.scaled_dot_product_attention(*qkv.transpose(-1, -2).unbind(1))  # [n, heads, pixels, channels]
        return x + self.out(mixed.transpose(-1, -2).reshape(x.shape))


class UNet(nn.Module):
    """Images [..., 1, 28, 28], lam and label that broadcast to [...] -> like the images (Ronneberger 2015; Ho 2020).

    Down from 28 x 28 to 14 x 14 and 7 x 7 pixels with `fine`, `middle` and `coarse` channels, and up again, with skip
    connections. The layout of a picture is decided at 7 x 7, where most of the weights are and every pixel sees all
    others; at 28 x 28 pixels must have few channels to be cheap. A label is 0 .. classes - 1; the null class, `classes`
    or None, means any of them (Ho & Salimans 2022).
    """

    def __init__(self, fine: int = 16, middle: int = 32, coarse: int = 96, depth: int = 1, classes: int = 10):
        super().__init__()
        sizes = dict(fine=fine, middle=middle, coarse=coarse, depth=depth, classes=classes)
        if min(sizes.values()) < 1 or depth > 8:
            raise ValueError(f"every size of a U-Net must be at least 1, and depth at most 8, got {sizes}")
        self.hyperparameters, self.classes, self.shape = sizes, classes, (1, 28, 28)
        features = 2 * coarse
        self.lam = nn.Sequential(LamEmbedding(32), nn.Linear(32, features), nn.SiLU(), nn.Linear(features, features))
        self.label = nn.Embedding(classes + 1, features)

        def blocks(channels: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(channels, features) for _ in range(depth))

        self.stem = nn.Conv2d(1, fine, 3, padding=1)
        self.shrink = nn.ModuleList([nn.Conv2d(fine, middle, 2, 2), nn.Conv2d(middle, coarse, 2, 2)])
        self.down, self.bottom, self.attention = blocks(middle), blocks(coarse), SelfAttention(coarse)
        self.up = nn.ModuleList([blocks(coarse), blocks(middle), blocks(fine)])
        self.grow = nn.ModuleList([nn.ConvTranspose2d(coarse, middle, 2, 2), nn.ConvTranspose2d(middle, fine, 2, 2)])
        self.last = nn.Sequential(ChannelNorm(fine), nn.SiLU())
        self.out = _zeroed(nn.Conv2d(fine, 1, 3, padding=1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def deepened(self, depth: int) -> UNet:
        """The same function with `depth` blocks a stage; added blocks start as the identity (Chen et al. 2016).

        ValueError for fewer blocks than it has.
        """
        if depth < self.hyperparameters["depth"]:
            raise ValueError(f"depth must be at least {self.hyperparameters['depth']}, got {depth}")
        deeper = UNet(**self.hyperparameters | {"depth": depth}).to(self.label.weight)
        deeper.load_state_dict(self.state_dict(), strict=False)
        return deeper

    def forward(self, x: Tensor, lam: Tensor, label: Tensor | int | None = None) -> Tensor:
        of_class = self.label.weight[self.classes if label is None else label]
        level = F.silu(self.lam(lam) + of_class).expand(*x.shape[:-3], -1)  # [..., features]
        level, fine = level.flatten(0, -2), self.stem(x.flatten(0, -4))
        middle = _apply(self.down, self.shrink[0](fine), level)
        coarse = self.attention(_apply(self.bottom, self.shrink[1](middle), level))
        coarse = _apply(self.up[0], coarse, level)
        middle = _apply(self.up[1], middle + self.grow[0](coarse), level)
        fine = _apply(self.up[2], fine + self.grow[1](middle), level)
        return self.out(self.last(fine)).view(x.shape)


def _apply(blocks: nn.Module, x: Tensor, level: Tensor) -> Tensor:
    for block in blocks.children():
        x = block(x, level)
    return x


NETWORKS: dict[str, type[nn.Module]] = {"MLP": MLP, "UNet": UNet}
