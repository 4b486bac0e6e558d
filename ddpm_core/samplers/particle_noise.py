"""Randomness that belongs to particles, so that two runs can be compared particle by particle."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data.mixtures import GaussianMixture

DATA_STREAM = 2**32  # later than any step


class ParticleNoise:
    """Unit normal noise whose row i depends on (seed, t, i) only: not on n, the device or the order of calls.

    numpy's counter-based Philox, keyed by (seed, t) and filled row by row, so runs with different samplers or numbers
    of particles can be compared particle by particle.
    """

    def __init__(self, seed: int, n: int, shape: tuple[int, ...] = (2,), device: torch.device | str = "cpu"):
        if not 0 <= seed < 2**64 or n < 0:
            raise ValueError(f"need seed in 0 .. 2^64 - 1 and n >= 0, got seed = {seed}, n = {n}")
        self.seed, self.shape, self.device = seed, (n, *shape), torch.device(device)
        self.bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
        self.unused = self.bits.state
        self.lock = threading.Lock()  # Philox has one, but before numpy 2.3 who holds it must not draw
        self.normal = np.random.Generator(self.bits).standard_normal

    def __call__(self, t: int) -> Tensor:
        """z for the step that leaves t, float32 [n, *shape]."""
        with self.lock:  # two threads may share the noise
            self.unused["state"]["key"][1] = t  # three times as fast as a new Philox
            self.bits.state = self.unused
            z = self.normal(self.shape, dtype=np.float32)
        return torch.from_numpy(z).to(self.device)

    def start(self) -> Tensor:
        """The unit noise that particles start from [n, *shape], from the stream of t = 0, which no step leaves."""
        return self(0)

    def data(self, mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
        """Data points [n, D] and their components [n]; row i depends on (seed, i) only."""
        draw = ParticleNoise(self.seed, self.shape[0], (mixture.D + 1,))
        return mixture.components_from_noise(draw(DATA_STREAM))
