"""Reduced precision: a network computed in bfloat16, wrapped from outside so that nothing else has to know."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ddpm_core.models.denoisers import NetworkDenoiser

PRECISIONS = ("float32", "bfloat16")


class Bfloat16:
    """net(x, lam, ...) with products and convolutions in bfloat16, and an output in the type of x.

    Sums are still float32, and so are the weights (mixed precision; Kalamkar et al. 2019).
    """

    def __init__(self, net: Any):
        self.net = net

    def __call__(self, x: Tensor, *conditions: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.net(x, *conditions).to(x.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)


def in_precision(denoiser: NetworkDenoiser, precision: str) -> NetworkDenoiser:
    """The same denoiser in one of PRECISIONS.

    KeyError for another precision, ValueError for a network of points: it is too small to gain anything.
    """
    if precision not in PRECISIONS:
        raise KeyError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    net = denoiser.net.net if isinstance(denoiser.net, Bfloat16) else denoiser.net
    if precision == "bfloat16":
        if hasattr(net, "level"):
            raise ValueError(f"a {type(net).__name__} is computed in float32 only")
        net = Bfloat16(net)
    same = copy.copy(denoiser)
    same.net = net
    return same


def precision_of(denoiser: NetworkDenoiser) -> str:
    """Which of PRECISIONS the network is computed in."""
    return "bfloat16" if isinstance(denoiser.net, Bfloat16) else "float32"
